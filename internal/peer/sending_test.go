package peer

import (
	"testing"

	"wgd/internal/session"
)

// A33: the next session is used for sending once it is confirmed; A16: unless the
// current one stays.
func TestSending(t *testing.T) {
	keypair := func(confirmed bool) *session.Keypair {
		k := session.New(new([32]byte), new([32]byte), 1, 2, false, 1)
		if confirmed {
			k.Confirm()
		}
		return k
	}
	current, waiting, confirmed := keypair(false), keypair(false), keypair(true)
	for _, c := range []struct {
		name string
		s    Sessions
		want *session.Keypair
	}{
		{"none", Sessions{}, nil},
		{"current", Sessions{Current: current}, current},
		{"next not confirmed", Sessions{Next: waiting}, nil},
		{"current, next not confirmed", Sessions{Current: current, Next: waiting}, current},
		{"current, next confirmed", Sessions{Current: current, Next: confirmed}, confirmed},
		{"next confirmed", Sessions{Next: confirmed}, confirmed},
		{"current stays", Sessions{Current: current, Next: confirmed, Keep: true}, current},
		{"current stays, and is gone", Sessions{Next: confirmed, Keep: true}, confirmed},
	} {
		if got := c.s.Sending(); got != c.want {
			t.Errorf("%s: Sending returned the wrong session", c.name)
		}
	}
}
