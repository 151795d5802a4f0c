package peer

import "testing"

// A Sole is the peer of all events since the last Take, if there is one.
func TestSole(t *testing.T) {
	a, b := New(NewCommon(Timing{})), New(NewCommon(Timing{}))
	var s Sole
	for _, c := range []struct {
		events []*Peer
		want   *Peer
	}{{nil, nil}, {[]*Peer{a}, a}, {[]*Peer{b, b}, b}, {[]*Peer{a, b, b}, nil}, {[]*Peer{nil, a}, nil}, {[]*Peer{a, nil, a}, nil}, {[]*Peer{a}, a}} {
		for _, p := range c.events {
			s.Note(p)
		}
		if got := s.Take(); got != c.want {
			t.Errorf("%v: got %p, want %p", c.events, got, c.want)
		}
	}
}
