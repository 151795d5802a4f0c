package control

import (
	"bufio"
	"context"
	"fmt"
	"iter"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"wgd/conf"
	"wgd/internal/control/controltest"
)

// A watched is a Target with events: those that are sent to it.
type watched struct {
	*controltest.Target
	events  chan conf.Event
	last    atomic.Uint64 // the number of the last event
	mu      sync.Mutex
	after   []uint64
	readers int
}

func newWatched() *watched {
	return &watched{Target: controltest.New(conf.Status{})}
}

func (w *watched) EventsAfter(ctx context.Context, seq uint64) iter.Seq[conf.Event] {
	return func(yield func(conf.Event) bool) {
		w.count(+1)
		defer w.count(-1)
		w.mu.Lock()
		w.after = append(w.after, seq)
		w.mu.Unlock()
		if !yield(conf.Event{Seq: seq, Kind: conf.EventsBegin, Run: "R"}) {
			return
		}
		for {
			select {
			case e, ok := <-w.events:
				if !ok || !yield(e) {
					return
				}
			case <-ctx.Done():
				return
			}
		}
	}
}

func (w *watched) LastEvent() uint64 { return w.last.Load() }

func (w *watched) count(n int) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.readers += n
	return w.readers
}

// watch requests events, and reads the first block.
func watch(t *testing.T, conn net.Conn, seq int) *bufio.Reader {
	t.Helper()
	go fmt.Fprintf(conn, "events=%d\n\n", seq)
	r := bufio.NewReader(conn)
	text, err := answer(r)
	if want := fmt.Sprintf("seq=%d\nkind=begin\nrun=R\n\n", seq); err != nil || text != want {
		t.Fatalf("got %q, %v, want %q", text, err, want)
	}
	return r
}

// A stream lives while nothing happens, ends with the client, and is not evicted when
// connections are needed.
func TestStreamsAreNotIdle(t *testing.T) {
	target := newWatched()
	withServer(t, target, func(t *testing.T, p *pipeListener) {
		target.events = make(chan conf.Event) // belongs to virtual time
		conn := p.dial()
		r := watch(t, conn, 7)
		time.Sleep(time.Hour)
		var others []net.Conn
		for range 2 * maxConnections { // half of them are evicted
			others = append(others, p.dial())
			time.Sleep(idleTime)
		}
		go func() { target.events <- conf.Event{Seq: 8, Kind: conf.WentUp} }()
		if text, err := answer(r); err != nil || text != "seq=8\nkind=up\n\n" {
			t.Errorf("after an hour: %q, %v", text, err)
		}
		conn.Close()
		synctest.Wait()
		if n := target.count(0); n != 0 {
			t.Errorf("%d readers after the client's end", n)
		}
		for _, c := range others {
			c.Close()
		}
	})
}

// A client that does not read loses its connection after a minute. Others are served
// meanwhile, and the target does not wait.
func TestStreamWithoutReader(t *testing.T) {
	target := newWatched()
	withServer(t, target, func(t *testing.T, p *pipeListener) {
		target.events = make(chan conf.Event) // belongs to virtual time
		silent, other := p.dial(), p.dial()
		fmt.Fprint(silent, "events=0\n\n")
		time.Sleep(pauseTimeout / 2)
		if text := ask(t, other, "get=1\n\n"); !strings.HasSuffix(text, "errno=0\n\n") {
			t.Errorf("another client got %q", text)
		}
		if n := target.count(0); n != 1 {
			t.Errorf("%d readers, want 1", n)
		}
		time.Sleep(pauseTimeout)
		synctest.Wait()
		if n := target.count(0); n != 0 {
			t.Errorf("%d readers remain after a client read nothing for a minute", n)
		}
		silent.Close()
		other.Close()
	})
}

func ask(t *testing.T, conn net.Conn, request string) string {
	t.Helper()
	go fmt.Fprint(conn, request)
	text, err := answer(bufio.NewReader(conn))
	if err != nil {
		t.Error(err)
	}
	return text
}

// Streams leave connections for other requests, a target without events refuses, and
// the last block says that the interface has ended.
func TestStreamLimitAndEnd(t *testing.T) {
	target := newWatched()
	withServer(t, target, func(t *testing.T, p *pipeListener) {
		target.events = make(chan conf.Event) // belongs to virtual time
		var readers []*bufio.Reader
		var conns []net.Conn
		for range maxConnections / 4 {
			conns = append(conns, p.dial())
			readers = append(readers, watch(t, conns[len(conns)-1], 0))
		}
		extra := p.dial()
		if text := ask(t, extra, "events=0\n\n"); !strings.Contains(text, "errno=-5\nerror=too many programs") {
			t.Errorf("one stream too many: %q", text)
		}
		conns[0].Close()
		synctest.Wait()
		again := p.dial()
		watch(t, again, 3)
		close(target.events)
		for _, r := range readers[1:] {
			if text, err := answer(r); err != nil || text != "errno=0\n\n" {
				t.Fatalf("at the end: %q, %v", text, err)
			}
		}
		for _, c := range append(conns, extra, again) {
			c.Close()
		}
	})
	withServer(t, controltest.New(conf.Status{}), func(t *testing.T, p *pipeListener) {
		conn := p.dial()
		if text := ask(t, conn, "events=0\n\n"); !strings.Contains(text, "errno=-71\nerror=this daemon reports no events") {
			t.Errorf("a target without events: %q", text)
		}
		conn.Close()
	})
}

// Events in a row share a write, at most one in a pause, which many events end. A lone
// event is written at once.
func TestStreamIsBatched(t *testing.T) {
	target := newWatched()
	withServer(t, target, func(t *testing.T, p *pipeListener) {
		target.events = make(chan conf.Event) // belongs to virtual time
		conn := p.dial()
		watch(t, conn, 0)
		send := func(from, to uint64) {
			target.last.Store(to)
			for ; from <= to; from++ {
				target.events <- conf.Event{Seq: from, Kind: conf.WentUp}
			}
		}
		read := func(events int, after time.Duration) {
			t.Helper()
			begun := time.Now()
			b := make([]byte, answerBuffer)
			n, err := conn.Read(b)
			if got := strings.Count(string(b[:n]), "kind=up"); err != nil || got != events || time.Since(begun) != after {
				t.Errorf("one write had %d events after %v, %v, want %d after %v", got, time.Since(begun), err, events, after)
			}
		}
		go send(1, 100)
		read(100, eventPause)
		time.Sleep(time.Hour)
		go send(101, 101)
		read(1, 0)
		go send(102, 103)
		read(2, eventPause)
		go send(104, 103+maxGathered-1)
		read(maxGathered-1, eventPause)
		synctest.Wait() // the pause has begun
		go send(103+maxGathered, 103+2*maxGathered)
		read(maxGathered+1, pauseStep)
		conn.Close()
	})
}
