package uapi_test

import (
	"errors"
	"strings"
	"testing"

	"wgd/conf"
	"wgd/internal/uapi"
)

// A request that is not permitted is refused as a whole, with the error that was given, and
// read to its end. Its further lines are not parsed: an invalid one makes no other error. An
// operation that does not exist is asked for as well.
func TestPermit(t *testing.T) {
	const requests = "set=1\nprivate_key=x\nnonsense\n\n" + "get=1\n\n" + "tomorrow=1\n\n" + "get=2\n\n" + "nonsense\n\n" + "\n" + "get=1\n\n"
	d := uapi.NewDecoder(strings.NewReader(requests))
	var asked []string
	d.Permit(func(operation string) *uapi.Error {
		asked = append(asked, operation)
		if operation == "get" {
			return nil
		}
		return &uapi.Error{Errno: uapi.EPERM, Sentence: "no"}
	})
	for i, want := range []int{uapi.EPERM, 0, uapi.EPERM, uapi.EPROTO, uapi.EPERM, uapi.EPROTO, 0} {
		request, err := d.Next()
		var refused *uapi.Error
		switch {
		case want == 0 && (err != nil || !request.Get):
			t.Errorf("request %d: %+v, %v", i, request, err)
		case want != 0 && (!errors.As(err, &refused) || refused.Errno != want):
			t.Errorf("request %d: %v, want number %d", i, err, want)
		}
	}
	if got := strings.Join(asked, " "); got != "set get tomorrow get nonsense get" {
		t.Errorf("asked about %s", got)
	}
}

// withheld is what a client gets that may only read.
func withheld(t testing.TB) conf.Status {
	s := status(t)
	s.Withhold()
	return s
}
