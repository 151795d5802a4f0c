package peer

import (
	"fmt"
	"slices"
	"sync"
	"testing"
)

// drain flushes the staged packets and returns them as strings.
func drain(p *Peer) (list []string) {
	p.Flush(func(raw []byte) bool { list = append(list, string(raw)); return true })
	return list
}

// A42: the queue is first in, first out (B39). Of more than 128 packets the oldest
// are dropped and counted. A super-packet counts as the packets it becomes.
func TestStaged(t *testing.T) {
	p := newPeer()
	if p.HasStaged() || drain(p) != nil || p.Purge() != 0 {
		t.Error("a new peer has staged packets")
	}
	dropped := 0
	for i := range 130 {
		dropped += p.Stage(fmt.Append(nil, i), 1)
	}
	if dropped != 2 {
		t.Errorf("%d of 130 packets were dropped, want 2", dropped)
	}
	if got := p.Stage([]byte("super"), 45); got != 45 {
		t.Errorf("%d packets were dropped for a super-packet of 45", got)
	}
	list := drain(p)
	if len(list) != 84 || list[0] != "47" || list[82] != "129" || list[83] != "super" {
		t.Errorf("%d packets are left, the first is %q", len(list), list[0])
	}
	if p.HasStaged() {
		t.Error("the queue is not empty after Flush")
	}
	if p.Stage([]byte("larger than the queue"), 200) != 0 || p.Stage([]byte("next"), 1) != 200 {
		t.Error("a super-packet larger than the queue must stay until another packet arrives")
	}
	if p.Purge() != 1 || p.HasStaged() {
		t.Error("Purge did not drop the only packet")
	}
}

// Stage keeps a copy, because the caller reuses its buffer at once.
func TestStageCopies(t *testing.T) {
	p := newPeer()
	raw := []byte("one")
	p.Stage(raw, 1)
	copy(raw, "two")
	if got := drain(p); got[0] != "one" {
		t.Errorf("got %q", got)
	}
}

// Packets that Flush could not send stay, in order.
func TestFlushStops(t *testing.T) {
	p := newPeer()
	for i := range 4 {
		p.Stage(fmt.Append(nil, i), 10)
	}
	n := 0
	if !p.Flush(func([]byte) bool { n++; return n < 3 }) {
		t.Error("two were sent")
	}
	if !p.HasStaged() {
		t.Error("two are left")
	}
	if p.Flush(func([]byte) bool { return false }) {
		t.Error("none was sent")
	}
	if got := drain(p); !slices.Equal(got, []string{"2", "3"}) {
		t.Errorf("left %q", got)
	}
}

// A43: while a flush is under way packets count as staged, so that nobody
// overtakes them; nothing is lost or sent twice among goroutines.
func TestFlushBesideStage(t *testing.T) {
	p := newPeer()
	var got []string
	var all sync.WaitGroup
	const n = 5000
	all.Go(func() {
		for i := range n {
			for p.HasStaged() && i%64 == 63 { // do not outrun the others
			}
			p.Stage(fmt.Append(nil, i), 1)
		}
	})
	for range 2 {
		all.Go(func() {
			for range n {
				p.Flush(func(raw []byte) bool {
					if !p.HasStaged() {
						t.Error("a packet in flight does not count as staged")
					}
					got = append(got, string(raw)) // Flush excludes another Flush
					return true
				})
			}
		})
	}
	done := make(chan bool)
	go func() { all.Wait(); close(done) }()
	for {
		p.Flush(func(raw []byte) bool { got = append(got, string(raw)); return true })
		select {
		case <-done:
		default:
			continue
		}
		break
	}
	got = append(got, drain(p)...)
	if len(got) != n {
		t.Fatalf("%d of %d", len(got), n)
	}
	for i, s := range got {
		if s != fmt.Sprint(i) {
			t.Fatalf("packet %d is %q", i, s)
		}
	}
}
