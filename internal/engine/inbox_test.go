package engine

import (
	"runtime"
	"sync"
	"testing"
	"time"

	"wgd/conf"
	"wgd/internal/core"
	"wgd/internal/index"
	"wgd/internal/peer"
	"wgd/internal/sys/udp"
	"wgd/internal/wire"
)

// The handshake queue is first in, first out, and has its bound (A28); what is
// not taken is still counted.
func TestQueue(t *testing.T) {
	in := newInbox()
	var m mail
	put, got := 0, 0
	for round := range 50 {
		for in.putHandshake(from(put), []byte{byte(put)}) {
			put++
		}
		if in.waiting() != queueCapacity {
			t.Fatalf("%d wait of %d", in.waiting(), queueCapacity)
		}
		in.take(&m, 100+round)
		if len(m.handshakes) != 100+round || in.waiting() != queueCapacity-len(m.handshakes) {
			t.Fatalf("%d taken, %d wait", len(m.handshakes), in.waiting())
		}
		for _, h := range m.handshakes {
			if h.from != from(got) || h.size != 1 || h.msg[0] != byte(got) {
				t.Fatalf("message %d is from %v", got, h.from)
			}
			got++
		}
	}
	in.take(&m, -3)
	if len(m.handshakes) != 0 {
		t.Error("taken without room")
	}
	if cap(in.handshakes.list) > 3*queueCapacity {
		t.Errorf("memory for %d", cap(in.handshakes.list))
	}
	in.take(&m, queueCapacity)
	if cap(in.handshakes.list) > mostKept {
		t.Errorf("memory for %d is kept where none waits", cap(in.handshakes.list))
	}
	for i := range 1000 {
		in.putCookie(from(i), []byte{3})
	}
	if in.cookies.len() != cookieCapacity || in.putHandshake(from(0), make([]byte, wire.InitiationSize+1)) {
		t.Error("bounds")
	}
}

// A note waits once, in the order in which it came; lists do not grow beyond
// the number of peers.
func TestNotesWaitOnce(t *testing.T) {
	in := newInbox()
	all := make([]*peer.Peer, 3000)
	for i := range all {
		all[i] = peer.New(peer.NewCommon(peer.Timing{}))
	}
	var m mail
	for range 3 {
		for range 3 {
			for _, p := range all {
				in.Want(p)
				in.Wake(p)
				in.Confirm(p, nil)
			}
		}
		in.take(&m, 0)
		if len(m.wants.list) != len(all) || len(m.wakes.list) != len(all) || len(m.confirms.list) != len(all) {
			t.Fatalf("%d, %d, %d notes", len(m.wants.list), len(m.wakes.list), len(m.confirms.list))
		}
		for i, p := range all {
			if m.wants.list[i] != p || m.confirms.list[i].peer != p {
				t.Fatal("in another order")
			}
		}
	}
	for range 2 {
		in.take(&m, 0)
	}
	if len(m.wants.list) != 0 || len(m.wants.in) != 0 || cap(m.wants.list) > mostKept {
		t.Error("not empty, or too much memory kept")
	}
}

// A44: workers take from both lists in turn, so neither waits for the other to
// be empty; room counts only work on what came in.
func TestWorkersTakeTurns(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(2))
	w := &workers{started: 1} // this one
	w.wake = sync.NewCond(&w.mu)
	own, other := jobsOf(t)
	for range 5 {
		w.put(own)
	}
	if w.room() != 4 {
		t.Errorf("room %d beside initiations of our own", w.room())
	}
	for range 3 {
		w.put(other)
	}
	if w.room() != 1 {
		t.Errorf("room %d", w.room())
	}
	var order []bool
	for range 8 {
		j, from := w.next()
		order = append(order, j == own)
		from.active--
	}
	if want := []bool{true, false, true, false, true, false, true, true}; !equal(order, want) {
		t.Errorf("ours: %v, want %v", order, want)
	}
	w.put(own)
	w.close()
	if j, _ := w.next(); j != nil || len(w.left()) != 1 || len(w.left()) != 0 {
		t.Error("after close")
	}
}

func equal(a, b []bool) bool {
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return len(a) == len(b)
}

// jobsOf are a job of our own and one of an initiation that came in.
func jobsOf(t *testing.T) (own, other *core.Job) {
	t.Helper()
	a := newSite(t, udp.NewNet(), 1)
	m := core.New(core.Options{Rand: a.world.Rand, Index: index.New()})
	_, public := newKey(t)
	at := from(1).Remote
	interval := uint16(1)
	now := a.clock()
	m.Up(now)
	if err := m.Apply(now, conf.Change{PrivateKey: &a.private, Peers: []conf.PeerChange{
		{PublicKey: public, Endpoint: &at, PersistentKeepalive: &interval}}}); err != nil {
		t.Fatal(err)
	}
	m.Receive(now, from(1), initiation(t, a.private, a.public))
	for out, ok := m.Poll(); ok; out, ok = m.Poll() {
		switch {
		case out.Kind != core.Run:
		case out.Job.Initiates():
			own = out.Job
		default:
			other = out.Job
		}
	}
	if own == nil || other == nil {
		t.Fatal("no jobs")
	}
	return own, other
}

// What is taken and makes no work leaves nothing behind in the queue: the rest
// is taken without a bell.
func TestQueueIsEmptied(t *testing.T) {
	_, a, b := pair(t)
	a.say(b, "hello")
	b.mu.Lock()
	for i := range 500 {
		response := make([]byte, wire.ResponseSize)
		response[0] = byte(wire.TypeResponse)
		b.inbox.putHandshake(from(i), response)
	}
	b.mu.Unlock()
	begun := time.Now()
	eventually(t, "the queue is empty", func() bool { return b.inbox.waiting() == 0 })
	if took := time.Since(begun); took > longestSleep/2 {
		t.Errorf("after %v", took)
	}
}
