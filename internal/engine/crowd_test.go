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

// crowd is an engine's sockets, with thousands of peers on their other side.
// What they have to say is computed before the clock is started, so that what
// is measured is the engine alone.
type crowd struct {
	in     chan batch.Batch
	places chan struct{} // as many messages are on their way at once
	closed chan struct{}
	once   sync.Once

	members []member
	by      map[netip.AddrPort]*member
	sent    [5]atomic.Int64 // by type of message

	mu          sync.Mutex
	initiations map[netip.AddrPort]wire.Initiation
}

type member struct {
	static *noise.Static
	public key.Public
	end    wire.Endpoint
}

func newCrowd(tb testing.TB, size, window int) *crowd {
	c := &crowd{
		in: make(chan batch.Batch, window), places: make(chan struct{}, window), closed: make(chan struct{}),
		members: make([]member, size), by: make(map[netip.AddrPort]*member), initiations: make(map[netip.AddrPort]wire.Initiation),
	}
	for i := range c.members {
		private, public := newKey(tb)
		c.members[i] = member{noise.NewStatic(private), public, from(i)}
		c.by[from(i).Remote] = &c.members[i]
	}
	return c
}

// change is the crowd as the engine's configuration.
func (c *crowd) change(initiate bool) (change conf.Change) {
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

// engine is one that listens to the crowd, with a clock that stands still but
// for 1 µs at each look: no timer runs out however slow this machine is.
func (c *crowd) engine(tb testing.TB, private key.Private) *Engine {
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

// say gives messages of the crowd to the engine, as many at once as there are
// places; each that is answered makes room for the next.
func (c *crowd) say(messages []batch.Batch) {
	for _, b := range messages {
		c.places <- struct{}{}
		c.in <- b
	}
}

func (c *crowd) Recv(bs []batch.Batch) (int, error) {
	select {
	case bs[0] = <-c.in:
	case <-c.closed:
		return 0, os.ErrClosed
	}
	n, err := c.TryRecv(bs[1:])
	return 1 + n, err
}

func (c *crowd) TryRecv(bs []batch.Batch) (int, error) {
	for n := range bs {
		select {
		case bs[n] = <-c.in:
		default:
			return n, nil
		}
	}
	return len(bs), nil
}

func (*crowd) Wait() error                 { return errors.ErrUnsupported }
func (c *crowd) NewReceiver() udp.Receiver { return c }

func (c *crowd) Send(b *batch.Batch) error {
	kind, ok := wire.TypeOf(b.Data)
	if !ok {
		return nil
	}
	switch kind {
	case wire.TypeResponse:
		<-c.places
	case wire.TypeData: // the keepalive of a session that we began (A34)
		<-c.places
	case wire.TypeInitiation:
		msg, _ := wire.DecodeInitiation(b.Data)
		c.mu.Lock()
		c.initiations[b.Remote.Remote] = msg
		c.mu.Unlock()
	}
	c.sent[kind].Add(1)
	return nil
}

func (c *crowd) Groups() []udp.Group   { return []udp.Group{c} }
func (c *crowd) Socket(int) udp.Socket { return c }
func (c *crowd) SetSockets(int) error  { return errors.ErrUnsupported }
func (c *crowd) SteerToFirst() bool    { return false }
func (c *crowd) NewSender() udp.Sender { return c }
func (c *crowd) Caps() udp.Caps        { return udp.Caps{} }
func (c *crowd) Port() uint16          { return 51820 }
func (c *crowd) SetMark(uint32) error  { return nil }
func (c *crowd) Forget()               {}
func (c *crowd) Close() error {
	c.once.Do(func() { close(c.closed) })
	return nil
}

// initiate is an initiation of each.
func (c *crowd) initiate(tb testing.TB, to key.Public) (list []batch.Batch) {
	for i := range c.members {
		m := &c.members[i]
		var ephemeral [32]byte
		rand.Read(ephemeral[:])
		msg, _, err := noise.CreateInitiation(m.static, noise.NewRemote(to), &ephemeral, uint32(i), wire.StampAt(time.Now()))
		if err != nil {
			tb.Fatal(err)
		}
		list = append(list, maced(msg.AppendTo(nil), to, m.end))
	}
	return list
}

// respond answers what the engine has sent.
func (c *crowd) respond(tb testing.TB, to key.Public) (list []batch.Batch) {
	for at, msg := range c.initiations {
		m := c.by[at]
		_, st, err := noise.ConsumeInitiationStatic(m.static, &msg)
		if err != nil {
			tb.Fatal(err)
		}
		_, hs, err := st.Finish(m.static, noise.NewRemote(to))
		if err != nil {
			tb.Fatal(err)
		}
		var ephemeral [32]byte
		rand.Read(ephemeral[:])
		response, err := hs.CreateResponse(new(noise.Keys), &ephemeral, key.Preshared{}, binary.BigEndian.Uint32(ephemeral[:]))
		if err != nil {
			tb.Fatal(err)
		}
		list = append(list, maced(response.AppendTo(nil), to, m.end))
	}
	return list
}

func maced(msg []byte, to key.Public, end wire.Endpoint) batch.Batch {
	maker := cookie.NewMaker(to)
	maker.AddMACs(1, msg)
	return train(msg, end)
}

const (
	crowdSize = 2000
	// crowdWindow is below what counts as load, where nobody is asked for a cookie.
	crowdWindow = 64
)

// waitFor looks now and then, so that it costs nothing, until n messages of a type have left.
func (c *crowd) waitFor(tb testing.TB, kind wire.Type, n int64) {
	for begun := time.Now(); c.sent[kind].Load() < n; time.Sleep(time.Millisecond) {
		if time.Since(begun) > patience {
			tb.Fatalf("%d messages of type %d after %v, want %d", c.sent[kind].Load(), kind, patience, n)
		}
	}
}

// meter adds up what a storm takes, of time and of all processors together.
type meter struct{ time, cpu, begun, used time.Duration }

func (m *meter) start() { m.begun, m.used = time.Duration(time.Now().UnixNano()), cpuTime() }

func (m *meter) stop() {
	m.time += time.Duration(time.Now().UnixNano()) - m.begun
	m.cpu += cpuTime() - m.used
}

func (m *meter) report(b *testing.B) {
	n := float64(crowdSize * b.N)
	b.ReportMetric(0, "ns/op") // the crowd's own work is in it
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

// BenchmarkStormAsResponder is how many handshakes a second an engine answers,
// of peers that all come at once: from the datagram that it reads to the one
// that it sends, all but the socket.
func BenchmarkStormAsResponder(b *testing.B) {
	var m meter
	for b.Loop() {
		b.StopTimer()
		c := newCrowd(b, crowdSize, crowdWindow)
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
		c.say(messages)
		c.waitFor(b, wire.TypeResponse, crowdSize)
		m.stop()
		b.StopTimer()
		e.Close()
		b.StartTimer()
	}
	m.report(b)
}

// BenchmarkStormAsInitiator is the same of handshakes that the engine begins,
// because every peer is owed a keepalive. What the peers compute is not counted.
func BenchmarkStormAsInitiator(b *testing.B) {
	var m meter
	for b.Loop() {
		b.StopTimer()
		c := newCrowd(b, crowdSize, crowdWindow)
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
		c.waitFor(b, wire.TypeInitiation, crowdSize)
		m.stop()
		b.StopTimer()
		messages := c.respond(b, public)
		runtime.GC()
		b.StartTimer()
		m.start()
		c.say(messages)
		c.waitFor(b, wire.TypeData, crowdSize)
		m.stop()
		b.StopTimer()
		e.Close()
		b.StartTimer()
	}
	m.report(b)
}
