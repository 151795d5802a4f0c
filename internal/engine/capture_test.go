package engine

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"sync"
	"testing"

	"wgd/conf"
	"wgd/internal/capture"
	"wgd/internal/packet"
	"wgd/internal/pcapng"
	"wgd/internal/wire"
)

// capturing is a capture in progress.
type capturing struct {
	t    testing.TB
	done chan error
	end  func()

	mu  sync.Mutex
	raw bytes.Buffer
}

func (c *capturing) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.raw.Write(p)
}

// capture begins a capture at s, and returns when it has begun.
func (s *site) capture(want conf.Capture) *capturing {
	s.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	c := &capturing{t: s.t, done: make(chan error, 1), end: cancel}
	go func() { c.done <- s.Capture(ctx, want, c) }()
	eventually(s.t, "the capture begins", func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		return c.raw.Len() > 0
	})
	return c
}

// result ends the capture and returns what it has: types of messages, with > for those
// sent; texts inside; and its raw bytes.
func (c *capturing) result() (outer, inner []string, raw []byte) {
	c.t.Helper()
	c.end()
	if err := <-c.done; err != nil {
		c.t.Fatal(err)
	}
	raw = bytes.Clone(c.raw.Bytes())
	r := pcapng.NewReader(&c.raw)
	for {
		b, err := r.Next()
		if errors.Is(err, io.EOF) {
			return outer, inner, raw
		}
		if err != nil {
			c.t.Fatal(err)
		}
		p, ok := b.Packet()
		if !ok {
			continue
		}
		mark := map[pcapng.Direction]string{pcapng.Inbound: "<", pcapng.Outbound: ">"}[p.Direction]
		payload := packet.UDPPayload(p.Data)
		if p.Interface == 1 {
			inner = append(inner, mark+string(payload))
			continue
		}
		kind, _ := wire.TypeOf(payload)
		outer = append(outer, mark+kind.String())
	}
}

func containsAll(list []string, want ...string) bool {
	all := "\n" + strings.Join(list, "\n") + "\n"
	for _, w := range want {
		if !strings.Contains(all, "\n"+w+"\n") {
			return false
		}
	}
	return true
}

// TestCapture: a capture that begins in the middle of a session has both directions,
// outside and inside, and handshakes. Its bytes do not contain a private key.
func TestCapture(t *testing.T) {
	_, a, b := pair(t)
	a.deliver(b, "before the capture")
	all := conf.Capture{Outer: true, Inner: true}
	onePeer := all
	onePeer.Peer = &b.public
	for name, want := range map[string]conf.Capture{"all peers": all, "one peer": onePeer} {
		at, other := a.capture(want), b.capture(all)
		a.deliver(b, "hello")
		b.deliver(a, "hello yourself")
		private, public := newKey(t)
		a.apply(conf.Change{PrivateKey: &private})
		old := a.public
		a.private, a.public = private, public
		b.apply(conf.Change{Peers: []conf.PeerChange{{PublicKey: old, Remove: true}, a.asPeer()}})
		a.deliver(b, "with a new key")
		outer, inner, raw := at.result()
		if !containsAll(outer, ">data", "<data", ">handshake initiation", "<handshake response") ||
			!containsAll(inner, ">hello", "<hello yourself", ">with a new key") || containsAll(inner, ">before the capture") {
			t.Errorf("%s: the capture has\n%q and\n%q", name, outer, inner)
		}
		otherOuter, otherInner, _ := other.result()
		if !containsAll(otherOuter, "<handshake initiation", ">handshake response") || !containsAll(otherInner, "<hello", ">hello yourself") {
			t.Errorf("%s: the other side has\n%q and\n%q", name, otherOuter, otherInner)
		}
		digits := b.public.Hex()[:keyDigits]
		if !bytes.Contains(raw, []byte("peer "+digits)) {
			t.Errorf("%s: the capture does not name the peer %s", name, digits)
		}
		if bytes.Contains(raw, private.Bytes()) {
			t.Errorf("%s: the capture has the private key", name)
		}
	}
}

// TestCaptureFollowsPeer: a peer that is removed and added again is captured again, and
// another peer is not.
func TestCaptureFollowsPeer(t *testing.T) {
	_, a, b := pair(t)
	a.deliver(b, "first")
	c := a.capture(conf.Capture{Inner: true, Peer: &b.public})
	a.apply(conf.Change{Peers: []conf.PeerChange{{PublicKey: b.public, Remove: true}}})
	a.apply(peers(b.asPeer()))
	a.deliver(b, "second")
	c.end()
	if err := <-c.done; err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(c.raw.Bytes(), []byte("second")) {
		t.Error("the peer is not captured after it was added again")
	}
}

// TestCaptureErrors: a peer that does not exist, too many captures, and a writer that
// fails are errors; the end of the engine is none.
func TestCaptureErrors(t *testing.T) {
	_, a, b := pair(t)
	_, stranger := newKey(t)
	err := a.Capture(t.Context(), conf.Capture{Outer: true, Peer: &stranger}, io.Discard)
	if err == nil || !strings.Contains(err.Error(), stranger.String()) {
		t.Errorf("a peer that does not exist: %v", err)
	}
	oneSentence(t, err)
	var list []*capturing
	for range capture.MaxCaptures {
		list = append(list, a.capture(conf.Capture{Outer: true}))
	}
	if err := a.Capture(t.Context(), conf.Capture{Outer: true}, io.Discard); !errors.Is(err, capture.ErrTooMany) {
		t.Errorf("one more: %v", err)
	}
	list[0].end()
	if err := <-list[0].done; err != nil {
		t.Error(err)
	}
	full, writer := errors.New("no space left"), make(chan error, 1)
	go func() { writer <- a.Capture(t.Context(), conf.Capture{Outer: true}, failingWriter{full}) }()
	if err := <-writer; !errors.Is(err, full) {
		t.Errorf("a writer that fails: %v", err)
	}
	b.Close()
	a.Close()
	for _, c := range list[1:] {
		if err := <-c.done; err != nil {
			t.Errorf("the end of the engine: %v", err)
		}
	}
	if err := a.Capture(t.Context(), conf.Capture{Outer: true}, io.Discard); !errors.Is(err, ErrClosed) {
		t.Errorf("after the end: %v", err)
	}
}

type failingWriter struct{ err error }

func (f failingWriter) Write([]byte) (int, error) { return 0, f.err }
