package netsetup

import (
	"errors"
	"fmt"
	"testing"
)

// PlanDNS makes one step of the name servers and the domains, or says why there is none.
func TestPlanDNS(t *testing.T) {
	for _, c := range []struct {
		line string
		err  error
		want string // "": no step
	}{
		{"", nil, ""},
		{"DNS = corp.example", ErrNoServer, ""},
		{"DNS = ~corp.example", ErrNoServer, ""},
		{"DNS = 10.2.0.1", nil, "{[10.2.0.1] [] []}"},
		{"DNS = 10.2.0.1, fd00::1, a.example, ~b.example, c.example\nDNS = ~.", nil, "{[10.2.0.1 fd00::1] [a.example c.example] [b.example .]}"},
	} {
		steps, err := PlanDNS(&decode(t, c.line).Interface.Network.DNS)
		got := ""
		if len(steps) == 1 {
			got = fmt.Sprint(*steps[0].DNS)
		}
		if !errors.Is(err, c.err) || got != c.want || len(steps) > 1 {
			t.Errorf("%q: got %v and %v, want %q and %v", c.line, steps, err, c.want, c.err)
		}
	}
}
