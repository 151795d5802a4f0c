//go:build unix

package engine

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"net/netip"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"wgd/conf"
	"wgd/internal/batch"
	"wgd/internal/clock"
	"wgd/internal/cookie"
	"wgd/internal/noise"
	"wgd/internal/sys/tun/tuntest"
	"wgd/internal/sys/udp"
	"wgd/internal/wire"
	"wgd/key"
)

// fakePeers are the sockets of an engine, with thousands of peers on the other
// side. The peers' messages are computed before the clock starts, so that only
// the engine is measured.
type fakePeers struct {
	in     chan batch.Batch
	window chan struct{} // as many messages are on their way at once
	closed chan struct{}
	once   sync.Once

	members   []fakePeer
	byAddress map[netip.AddrPort]*fakePeer
	sent      [5]atomic.Int64 // by type of message

	mu          sync.Mutex
	initiations map[netip.AddrPort]wire.Initiation
}

type fakePeer struct {
	static *noise.Static
	public key.Public
	end    wire.Endpoint
}

func newFakePeers(tb testing.TB, size, window int) *fakePeers {
	c := &fakePeers{
		in: make(chan batch.Batch, window), window: make(chan struct{}, window), closed: make(chan struct{}),
		members: make([]fakePeer, size), byAddress: make(map[netip.AddrPort]*fakePeer), initiations: make(map[netip.AddrPort]wire.Initiation),
	}
	for i := range c.members {
		private, public := newKey(tb)
		c.members[i] = fakePeer{noise.NewStatic(private), public, from(i)}
		c.byAddress[from(i).Remote] = &c.members[i]
	}
	return c
}

// change returns the configuration of an engine with these peers.
func (c *fakePeers) change(initiate bool) (change conf.Change) {
	interval := uint16(25)
	for i := range c.members {
		p := conf.PeerChange{PublicKey: c.members[i].public}
		if initiate {
			p.Endpoint, p.PersistentKeepalive = &c.members[i].end.Remote, &interval
		}
		change.Peers = append(change.Peers, p)
	}
	return change
}

// engine returns an engine that listens to the peers. Its clock advances by 1 µs
// at each reading, so that no timer expires however slow this machine is.
func (c *fakePeers) engine(tb testing.TB, private key.Private) *Engine {
	base, ticks := time.Now(), atomic.Int64{}
	e := Open(World{
		Clock: func() clock.Now {
			d := time.Duration(ticks.Add(1)) * time.Microsecond
			return clock.Now{Mono: clock.Time(time.Hour + d), Wall: base.Add(d)}
		},
		Rand:   rand.Reader,
		TUN:    tuntest.New("wg0", 1420),
		Listen: func(uint16, uint32) (Sockets, error) { return c, nil },
	}, Memory{})
	tb.Cleanup(e.Close)
	if err := e.Apply(conf.Change{PrivateKey: &private}); err != nil {
		tb.Fatal(err)
	}
	return e
}

// deliver passes messages of the peers to the engine. It waits while the window
// is full; each reply makes room for one more message.
func (c *fakePeers) deliver(messages []batch.Batch) {
	for _, b := range messages {
		c.window <- struct{}{}
		c.in <- b
	}
}

func (c *fakePeers) Recv(bs []batch.Batch) (int, error) {
	select {
	case bs[0] = <-c.in:
	case <-c.closed:
		return 0, os.ErrClosed
	}
	n, err := c.TryRecv(bs[1:])
	return 1 + n, err
}

func (c *fakePeers) TryRecv(bs []batch.Batch) (int, error) {
	for n := range bs {
		select {
		case bs[n] = <-c.in:
		default:
			return n, nil
		}
	}
	return len(bs), nil
}

func (*fakePeers) Wait() error                 { return errors.ErrUnsupported }
func (c *fakePeers) NewReceiver() udp.Receiver { return c }

func (c *fakePeers) Send(b *batch.Batch) error {
	kind, ok := wire.TypeOf(b.Data)
	if !ok {
		return nil
	}
	switch kind {
	case wire.TypeResponse:
		<-c.window
	case wire.TypeData: // the keepalive of a session that the engine initiated (A34)
		<-c.window
	case wire.TypeInitiation:
		msg, _ := wire.DecodeInitiation(b.Data)
		c.mu.Lock()
		c.initiations[b.Remote.Remote] = msg
		c.mu.Unlock()
	}
	c.sent[kind].Add(1)
	return nil
}

func (c *fakePeers) SendAll(bs []batch.Batch, errs []error) { batch.SendInTurn(c.Send, bs, errs) }

func (c *fakePeers) Groups() []udp.Group   { return []udp.Group{c} }
func (c *fakePeers) Socket(int) udp.Socket { return c }
func (c *fakePeers) SetSockets(int) error  { return errors.ErrUnsupported }
func (c *fakePeers) SteerToFirst() bool    { return false }
func (c *fakePeers) NewSender() udp.Sender { return c }
func (c *fakePeers) Caps() udp.Caps        { return udp.Caps{} }
func (c *fakePeers) Port() uint16          { return 51820 }
func (c *fakePeers) SetMark(uint32) error  { return nil }
func (c *fakePeers) Forget()               {}
func (c *fakePeers) Close() error {
	c.once.Do(func() { close(c.closed) })
	return nil
}

// initiate returns an initiation from each peer.
func (c *fakePeers) initiate(tb testing.TB, to key.Public) (list []batch.Batch) {
	for i := range c.members {
		m := &c.members[i]
		var ephemeral [32]byte
		rand.Read(ephemeral[:])
		msg, _, err := noise.CreateInitiation(nil, m.static, noise.NewRemote(to), &ephemeral, uint32(i), wire.StampAt(time.Now()))
		if err != nil {
			tb.Fatal(err)
		}
		list = append(list, withMACs(msg.AppendTo(nil), to, m.end))
	}
	return list
}

// respond returns the responses to the engine's initiations.
func (c *fakePeers) respond(tb testing.TB, to key.Public) (list []batch.Batch) {
	for at, msg := range c.initiations {
		m := c.byAddress[at]
		_, st, err := noise.ConsumeInitiationStatic(nil, m.static, &msg)
		if err != nil {
			tb.Fatal(err)
		}
		_, hs, err := st.Finish(nil, m.static, noise.NewRemote(to))
		if err != nil {
			tb.Fatal(err)
		}
		var ephemeral [32]byte
		rand.Read(ephemeral[:])
		response, err := hs.CreateResponse(nil, new(noise.Keys), &ephemeral, key.Preshared{}, binary.BigEndian.Uint32(ephemeral[:]))
		if err != nil {
			tb.Fatal(err)
		}
		list = append(list, withMACs(response.AppendTo(nil), to, m.end))
	}
	return list
}

func withMACs(msg []byte, to key.Public, end wire.Endpoint) batch.Batch {
	maker := cookie.NewMaker(to)
	maker.AddMACs(1, msg)
	return train(msg, end)
}

const (
	peerCount = 2000
	// peerWindow is below what counts as load, so that no cookies are required.
	peerWindow = 64
)

// waitFor polls, at negligible cost, until the engine has sent n messages of a type.
func (c *fakePeers) waitFor(tb testing.TB, kind wire.Type, n int64) {
	for begun := time.Now(); c.sent[kind].Load() < n; time.Sleep(time.Millisecond) {
		if time.Since(begun) > patience {
			tb.Fatalf("%d messages of type %d after %v, want %d", c.sent[kind].Load(), kind, patience, n)
		}
	}
}

// meter adds up elapsed time and CPU time.
type meter struct{ time, cpu, begun, used time.Duration }

func (m *meter) start() { m.begun, m.used = time.Duration(time.Now().UnixNano()), cpuTime() }

func (m *meter) stop() {
	m.time += time.Duration(time.Now().UnixNano()) - m.begun
	m.cpu += cpuTime() - m.used
}

func (m *meter) report(b *testing.B) {
	n := float64(peerCount * b.N)
	b.ReportMetric(0, "ns/op") // omitted: it includes the work of the peers
	b.ReportMetric(n/m.time.Seconds(), "handshakes/s")
	b.ReportMetric(m.cpu.Seconds()*1e6/n, "cpu-µs/handshake")
}

func cpuTime() time.Duration {
	var u unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkStormAsResponder measures how many handshakes a second an engine
// answers when all peers initiate at once, from the datagram received to the one
// sent, without the sockets.
func BenchmarkStormAsResponder(b *testing.B) {
	var m meter
	for b.Loop() {
		b.StopTimer()
		c := newFakePeers(b, peerCount, peerWindow)
		private, public := newKey(b)
		e := c.engine(b, private)
		if err := e.Apply(c.change(false)); err != nil {
			b.Fatal(err)
		}
		if err := e.Up(); err != nil {
			b.Fatal(err)
		}
		messages := c.initiate(b, public)
		runtime.GC()
		b.StartTimer()
		m.start()
		c.deliver(messages)
		c.waitFor(b, wire.TypeResponse, peerCount)
		m.stop()
		b.StopTimer()
		e.Close()
		b.StartTimer()
	}
	m.report(b)
}

// BenchmarkStormAsInitiator measures the same for handshakes that the engine
// initiates because every peer is due a keepalive. The computations of the peers
// do not count.
func BenchmarkStormAsInitiator(b *testing.B) {
	var m meter
	for b.Loop() {
		b.StopTimer()
		c := newFakePeers(b, peerCount, peerWindow)
		private, public := newKey(b)
		e := c.engine(b, private)
		if err := e.Apply(c.change(true)); err != nil {
			b.Fatal(err)
		}
		runtime.GC()
		b.StartTimer()
		m.start()
		if err := e.Up(); err != nil {
			b.Fatal(err)
		}
		c.waitFor(b, wire.TypeInitiation, peerCount)
		m.stop()
		b.StopTimer()
		messages := c.respond(b, public)
		runtime.GC()
		b.StartTimer()
		m.start()
		c.deliver(messages)
		c.waitFor(b, wire.TypeData, peerCount)
		m.stop()
		b.StopTimer()
		e.Close()
		b.StartTimer()
	}
	m.report(b)
}
