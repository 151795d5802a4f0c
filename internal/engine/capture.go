package engine

import (
	"context"
	"fmt"
	"io"

	"wgd/conf"
	"wgd/internal/capture"
	"wgd/internal/core"
	"wgd/internal/driver"
	"wgd/internal/peer"
)

// Capture writes packets of the interface to w, as pcapng, until ctx is done or the
// engine ends; then it returns nil. It returns the first error of w. Nothing else waits
// for w: packets that it does not take in time are missing, and counted.
func (e *Engine) Capture(ctx context.Context, want conf.Capture, w io.Writer) error {
	o := capture.Options{
		Interface: e.name, Outer: want.Outer, Inner: want.Inner,
		Clock:  func() int64 { return e.world.Clock().Wall.UnixNano() },
		NameOf: e.nameForCapture,
	}
	if want.Peer != nil {
		public := *want.Peer
		o.Find = func() *peer.Peer { return e.machine.Peer(public) }
		e.mu.Lock()
		p := o.Find()
		e.mu.Unlock()
		if p == nil {
			return fmt.Errorf("%s has no peer %s", e.name, public)
		}
		o.Name = e.nameForCapture(p)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if !e.goUntilClosed(ctx, cancel) {
		return ErrClosed
	}
	c := capture.New(o)
	if err := e.shared.Captures.Add(c); err != nil {
		return err
	}
	e.mu.Lock()
	c.PeersChanged()
	e.mu.Unlock()
	return c.Stream(ctx, busyWriter{e, w})
}

// busyWriter requests all processors while much is captured, so that the goroutine that
// makes the capture does not take time of the only one. Less than about 5 MB a second
// takes less time of one processor than it costs to use all: when 64 KB at once were much,
// 2.5 MB a second of one peer took 11 % of the throughput of another one.
type busyWriter struct {
	engine *Engine
	w      io.Writer
}

func (b busyWriter) Write(p []byte) (int, error) {
	if len(p) >= capture.WriteBytes {
		b.engine.lanes.NeedProcessors(b.engine.world.Clock().Mono)
	}
	return b.w.Write(p)
}

// goUntilClosed starts a goroutine that calls cancel when the engine closes, until ctx
// is done. It returns false if the engine is closed.
func (e *Engine) goUntilClosed(ctx context.Context, cancel context.CancelFunc) bool {
	if e.closed.Load() {
		return false
	}
	go func() {
		select {
		case <-e.closing:
			cancel()
		case <-ctx.Done():
		}
	}()
	return true
}

// nameForCapture returns what stands for a peer in a capture: its name, with the digits
// of its key.
func (e *Engine) nameForCapture(p *peer.Peer) string {
	e.mu.Lock()
	defer e.mu.Unlock()
	name, public := e.machine.NameOf(p)
	digits := public.Hex()[:keyDigits]
	if name == "" {
		return digits
	}
	return name + " (" + digits + ")"
}

// captureSent captures a handshake message that was sent.
func (e *Engine) captureSent(out *core.Output) {
	if captures := e.shared.Captures.Load(); captures != nil {
		b := driver.Datagram(out)
		captures.Sent(out.Peer, uint16(e.shared.Port.Load()), &b)
	}
}
