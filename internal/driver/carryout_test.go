package driver

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"wgd/internal/batch"
	"wgd/internal/clock"
	"wgd/internal/core"
	"wgd/internal/dataplane"
	"wgd/internal/peer"
	"wgd/internal/session"
	"wgd/internal/wire"
	"wgd/key"
)

// fakeEffects records its calls and returns the configured results.
type fakeEffects struct {
	sent     []batch.Batch
	err      error // returned by Send
	flushed  bool  // returned by Flush
	calls    []string
	jobs     []*core.Job
	remember []core.Output
}

func (x *fakeEffects) Send(b *batch.Batch) error {
	x.sent = append(x.sent, *b)
	return x.err
}

func (x *fakeEffects) Flush(clock.Time, *peer.Peer) bool {
	x.calls = append(x.calls, "flush")
	return x.flushed
}

func (x *fakeEffects) Keepalive(clock.Time, *peer.Peer) bool {
	x.calls = append(x.calls, "keepalive")
	return true
}

func (x *fakeEffects) Probe(_ clock.Time, _ *peer.Peer, frame []byte, size int) {
	x.calls = append(x.calls, fmt.Sprintf("probe %d %s", size, frame))
}

func (x *fakeEffects) Start(_ clock.Time, j *core.Job) { x.jobs = append(x.jobs, j) }

func (x *fakeEffects) Remember(out *core.Output) { x.remember = append(x.remember, *out) }

func newPeer() *peer.Peer { return peer.New(peer.NewCommon(peer.Timing{})) }

// A40, A52, A56: a handshake message is a control message with DSCP AF41. It
// counts as sent if Send succeeds, and otherwise as dropped; a source address
// that no longer exists is forgotten.
func TestCarryOutSend(t *testing.T) {
	refused := errors.New("refused")
	for _, c := range []struct {
		name   string
		err    error
		bytes  uint64
		drop   dataplane.Drop
		drops  uint64
		source bool
	}{
		{"sent", nil, 148, 0, 0, true},
		{"sent from another source", batch.ErrSourceGone, 148, 0, 0, false},
		{"refused", refused, 0, dataplane.DropSend, 1, true},
		{"refused from any source", errors.Join(batch.ErrSourceGone, refused), 0, dataplane.DropSend, 1, false},
		{"backlog", batch.ErrBacklog, 0, dataplane.DropBacklog, 1, true},
	} {
		x, drops, p := &fakeEffects{err: c.err}, &dataplane.Drops{}, newPeer()
		end := wire.NewEndpoint(netip.MustParseAddrPort("192.0.2.1:7"), netip.MustParseAddr("192.0.2.2"), 3)
		p.SetEndpoint(end)
		msg := make([]byte, 148)
		result := CarryOut(x, drops, start.Mono, &core.Output{Kind: core.Send, Peer: p, Endpoint: end, Message: msg})
		b := x.sent[0]
		if len(x.sent) != 1 || len(b.Data) != 148 || b.Stride != 148 || b.Remote != end || b.TOS != 0x88 || b.Class != batch.Control {
			t.Errorf("%s: sent %+v, want one control message of 148 bytes to %v", c.name, x.sent, end)
		}
		if _, sent := p.Bytes(); sent != c.bytes || drops.Count(c.drop) != c.drops || len(drops.Status()) != int(c.drops) {
			t.Errorf("%s: counted %d bytes and drops %v, want %d bytes and %d drops", c.name, sent, drops.Status(), c.bytes, c.drops)
		}
		if p.Endpoint().Source.IsValid() != c.source || result.Err != c.err {
			t.Errorf("%s: source %v, error %v; want a source: %v, error %v", c.name, p.Endpoint().Source, result.Err, c.source, c.err)
		}
	}
}

// A probe is sent with the size that the machine wants.
func TestCarryOutProbe(t *testing.T) {
	x := &fakeEffects{}
	CarryOut(x, &dataplane.Drops{}, start.Mono, &core.Output{Kind: core.Probe, Peer: newPeer(), Message: []byte("echo"), Size: 1452})
	if len(x.calls) != 1 || x.calls[0] != "probe 1452 echo" {
		t.Errorf("%q", x.calls)
	}
}

// A46: a handshake message that is routed into a tunnel must not be fragmented.
func TestCarryOutSendIntoTunnel(t *testing.T) {
	for _, tunnel := range []bool{false, true} {
		x, p := &fakeEffects{}, newPeer()
		end := wire.NewEndpoint(netip.MustParseAddrPort("192.0.2.1:7"), netip.Addr{}, 0)
		p.SetEndpoint(end)
		p.Location().SetRoute(&peer.Route{Found: true, Tunnel: tunnel}, 0)
		CarryOut(x, &dataplane.Drops{}, start.Mono, &core.Output{Kind: core.Send, Peer: p, Endpoint: end, Message: make([]byte, 148)})
		if got := x.sent[0].DontFragment; got != tunnel {
			t.Errorf("routed into a tunnel: %v; got DontFragment %v", tunnel, got)
		}
	}
}

// A6: a cookie reply is in the class that yields to other traffic, and counts as
// dropped like other messages if it is not sent.
func TestSendReply(t *testing.T) {
	x, drops := &fakeEffects{err: batch.ErrBacklog}, &dataplane.Drops{}
	if err := SendReply(x, drops, from(1), make([]byte, 64), &batch.Batch{}); err != batch.ErrBacklog {
		t.Errorf("got error %v, want %v", err, batch.ErrBacklog)
	}
	if b := x.sent[0]; b.Class != batch.Reply || b.TOS != 0x88 || b.Remote != from(1) || drops.Count(dataplane.DropBacklog) != 1 {
		t.Errorf("sent %+v, drops %v; want a reply to %v and one drop", b, drops.Status(), from(1))
	}
}

// A34: the first message of a new session is a staged packet, or else a
// keepalive, unless data has already been sent on it.
func TestCarryOutFlush(t *testing.T) {
	for _, c := range []struct {
		name    string
		session bool
		used    bool
		flushed bool
		want    []string
	}{
		{"packets are staged", true, false, true, []string{"flush"}},
		{"nothing is staged", true, false, false, []string{"flush", "keepalive"}},
		{"data was already sent", true, true, false, []string{"flush"}},
		{"the session is over", false, false, false, []string{"flush", "keepalive"}},
	} {
		x, p := &fakeEffects{flushed: c.flushed}, newPeer()
		if c.session {
			k := session.New(&[32]byte{}, &[32]byte{}, 1, 2, true, start.Mono)
			p.SetSessions(&peer.Sessions{Current: k})
			if c.used {
				k.Reserve(1)
			}
		}
		CarryOut(x, &dataplane.Drops{}, start.Mono, &core.Output{Kind: core.Flush, Peer: p})
		if !slices.Equal(x.calls, c.want) {
			t.Errorf("%s: got calls %v, want %v", c.name, x.calls, c.want)
		}
	}
}

// Each of the other outputs has its own effect.
func TestCarryOut(t *testing.T) {
	x, drops, p := &fakeEffects{}, &dataplane.Drops{}, newPeer()
	p.Stage([]byte("one"), 1)
	p.Stage([]byte("two and three"), 2)
	job := &core.Job{}
	stamps := []core.Output{
		{Kind: core.Reserve, Stamp: wire.StampAt(start.Wall)},
		{Kind: core.Accepted, PublicKey: key.Public{1}, Stamp: wire.StampAt(start.Wall)},
		{Kind: core.Forget, PublicKey: key.Public{2}},
	}
	purged := 0
	for _, out := range append([]core.Output{{Kind: core.Keepalive, Peer: p}, {Kind: core.Run, Job: job}, {Kind: core.Purge, Peer: p}}, stamps...) {
		purged += CarryOut(x, drops, start.Mono, &out).Purged
	}
	if !slices.Equal(x.calls, []string{"keepalive"}) || !slices.Equal(x.jobs, []*core.Job{job}) || len(x.sent) != 0 {
		t.Errorf("got calls %v, %d jobs, %d sent; want one keepalive, one job, none sent", x.calls, len(x.jobs), len(x.sent))
	}
	if purged != 3 || p.HasStaged() || drops.Count(dataplane.DropStaged) != 3 {
		t.Errorf("purged %d packets, drops %v; want 3 of each", purged, drops.Status())
	}
	if len(x.remember) != 3 || x.remember[1].PublicKey != (key.Public{1}) {
		t.Errorf("remembered %+v, want %+v", x.remember, stamps)
	}
}

// A21, A35, A61: after a machine goes down, nothing is sent and no job runs; the
// stamps that it accepted are remembered, and every peer is to be purged.
func TestQuench(t *testing.T) {
	a, b := newNode(t, 1), newNode(t, 2)
	a.call(b.public, from(2).Remote)
	b.know(a.public, from(1).Remote)
	b.m.Receive(start, from(1), runAndSend(t, a))
	for range 2 { // find the initiator, then read its stamp
		j := b.only(core.Run).Job
		j.Run()
		b.m.Finish(start, j)
	} // now a response waits to be sent, and a stamp to be remembered
	b.m.Receive(start, from(1), initiation(t, a.private, b.public)) // now a job waits to run
	b.m.Down(start)
	p := b.m.Peers()[0]
	p.Stage([]byte("while there was no socket"), 1)
	x, drops := &fakeEffects{}, &dataplane.Drops{}
	for _, p := range Quench(x, b.m) {
		Purge(drops, p)
	}
	if len(x.sent)+len(x.jobs)+len(x.calls) != 0 {
		t.Errorf("got %d sent, %d jobs, calls %v; want none", len(x.sent), len(x.jobs), x.calls)
	}
	if p.HasStaged() || drops.Count(dataplane.DropStaged) != 1 {
		t.Errorf("drops %v, want the one staged packet", drops.Status())
	}
	accepted := slices.ContainsFunc(x.remember, func(out core.Output) bool {
		return out.Kind == core.Accepted && out.PublicKey == a.public
	})
	if !accepted || len(b.poll()) != 0 {
		t.Errorf("remembered %+v, want the accepted stamp and no output left", x.remember)
	}
}
