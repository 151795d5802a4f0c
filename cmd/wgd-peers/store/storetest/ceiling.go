package storetest

import (
	"sync"
	"testing"
	"time"

	"wgd/cmd/wgd-peers/store"
)

// The ceiling is raised if it is before what is needed, never lowered, and written by one of
// many who need it at the same time.
func testCeiling(t *testing.T, open func(t *testing.T) store.Store) {
	s := open(t)
	at := func(seconds int64) time.Time { return time.Unix(1800000000+seconds, 0) }
	for _, c := range []struct{ needed, to, want int64 }{
		{10, 20, 20},
		{20, 30, 20},
		{21, 40, 40},
		{5, 50, 40},
	} {
		if got, err := s.RaiseCeiling(t.Context(), at(c.needed), at(c.to).Add(time.Millisecond)); err != nil || !got.Equal(at(c.want)) {
			t.Errorf("needed %d, to %d: %v, %v, want %v", c.needed, c.to, got.Sub(at(0)), err, c.want)
		}
	}
	var group sync.WaitGroup
	for i := range int64(20) {
		group.Go(func() {
			if got, err := s.RaiseCeiling(t.Context(), at(100+i), at(100+i)); err != nil || got.Before(at(100+i)) {
				t.Errorf("together: %v, %v", got, err)
			}
		})
	}
	group.Wait()
	if got, err := s.RaiseCeiling(t.Context(), at(0), at(0)); err != nil || !got.Equal(at(119)) {
		t.Errorf("at last: %v, %v", got, err)
	}
}
