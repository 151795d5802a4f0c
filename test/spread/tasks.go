package main

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"net/netip"
	"os/exec"
	"runtime"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"wgd/conf"
	"wgd/internal/batch"
	"wgd/internal/engine"
	"wgd/internal/lanes"
	"wgd/internal/lanes/lanestest"
	"wgd/internal/packet"
	"wgd/internal/sys/clock"
	"wgd/internal/sys/cpu"
	"wgd/internal/sys/tun"
	"wgd/internal/sys/tun/tuntest"
	"wgd/internal/sys/udp"
	"wgd/internal/sys/udp/udptest"
	"wgd/key"
)

const (
	port = 1234
	// A super-packet of UDP has as many segments as fit into one train.
	segment   = 1392
	segments  = 44
	trainSize = segment * segments
	warmUp    = 1500 * time.Millisecond
)

func cores() int { return runtime.NumCPU() }

// secret returns the private key of one end. It is not secret.
func secret(n byte) key.Private {
	var b [key.Size]byte
	b[1] = n // a few bits of the first byte are ignored
	return key.NewPrivate(&b)
}

// open runs an engine for one of the two ends, 1 or 2.
func open(self, other byte, device tun.Device, w engine.World) (*engine.Engine, error) {
	w.Clock, w.Rand, w.TUN = clock.Now, rand.Reader, device
	e := engine.Open(w, engine.Memory{})
	private, public := secret(self), secret(other).Public()
	listen := uint16(port)
	remote := netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, other}), port)
	err := e.Apply(conf.Change{PrivateKey: &private, ListenPort: &listen, Peers: []conf.PeerChange{{
		PublicKey: public, Endpoint: &remote,
		AllowedIPs: []conf.AllowedIPChange{{Prefix: netip.PrefixFrom(inner(other), 32)}},
	}}})
	if err != nil {
		return nil, err
	}
	return e, e.Up()
}

func inner(n byte) netip.Addr { return netip.AddrFrom4([4]byte{10, 9, 0, n}) }

// tunnel runs the end that is measured. Its answer is the measurement.
func (t task) tunnel() (func() (result, error), error) {
	queues := lanes.MaxQueues(false)
	if t.Flows > 0 {
		queues = max(queues, t.Width)
	}
	device, err := tun.Create("wg0", tun.Options{Queues: queues})
	if err != nil {
		return nil, err
	}
	counters := &lanes.Counters{}
	out, in := &watch{}, &watch{}
	listen := func(p uint16, mark uint32) (engine.Sockets, error) { return udp.Listen(p, udp.Options{Mark: mark}) }
	packets := device
	if t.Steps {
		packets = watchedTUN{device, out, in}
		listen = func(p uint16, mark uint32) (engine.Sockets, error) {
			pair, err := udp.Listen(p, udp.Options{Mark: mark, NoIPv6: true}) // one socket, because a watch is for one goroutine
			return udptest.Wrap(pair,
				func(r udp.Receiver) udp.Receiver { return watchedReceiver{r, in} },
				func(s udp.Sender) udp.Sender { return watchedSender{s, out} }), err
		}
	}
	w := engine.World{
		Listen: listen,
		Lanes:  lanes.Options{Usage: cpu.Read, Counters: counters},
	}
	switch {
	case t.Width == 0: // the engine decides
	case t.Flows == 0:
		w.Lanes.Spread = func() lanes.SpreadPolicy { return lanes.FixedSpread(t.Width) }
	default:
		w.Lanes.Scaler = lanestest.Queues(func() int { return t.Width })
	}
	e, err := open(1, 2, packets, w)
	if err != nil {
		return nil, err
	}
	line := "ip addr add 10.9.0.1/24 dev wg0 && ip link set wg0 mtu 1420 gso_max_size 61500 gso_max_segs 45 up"
	if out, err := exec.Command("sh", "-c", line).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%s: %w: %s", line, err, out)
	}
	return func() (result, error) {
		r, err := t.measure(e)
		r.Out.steps, r.In.steps = out.steps(), in.steps()
		r.Out.count(&counters.Out)
		r.In.count(&counters.In)
		return r, err
	}, nil
}

// measure waits until the load has begun and settled, and measures it.
func (t task) measure(e *engine.Engine) (r result, err error) {
	const patience = time.Minute
	bytes := func() uint64 { p := e.Status().Peers[0]; return p.RxBytes + p.TxBytes }
	for asked := time.Now(); bytes() < 10*trainSize; time.Sleep(time.Millisecond) {
		if time.Since(asked) > patience {
			return r, fmt.Errorf("only %[2]d bytes went through the tunnel in %[1]v: the load has not begun", patience, bytes())
		}
	}
	time.Sleep(warmUp)
	before, began := bytes(), time.Now()
	cpuBefore, err := cpu.Read()
	if err != nil {
		return r, err
	}
	time.Sleep(time.Duration(t.Seconds * float64(time.Second)))
	r.Bytes, r.Seconds = bytes()-before, time.Since(began).Seconds()
	cpuAfter, err := cpu.Read()
	r.Own, r.Idle = (cpuAfter.Own - cpuBefore.Own).Seconds(), (cpuAfter.Idle - cpuBefore.Idle).Seconds()
	return r, err
}

// nothing answers for the roles that measure nothing.
func nothing() (result, error) { return result{}, nil }

// sink completes a handshake and closes its socket. From then on, packets to it cost
// no processor time. The session lasts for three minutes.
func (t task) sink() (func() (result, error), error) {
	e, err := open(2, 1, tuntest.New("wg0", 1420), engine.World{
		Listen: func(p uint16, mark uint32) (engine.Sockets, error) { return udp.Listen(p, udp.Options{Mark: mark}) },
	})
	if err != nil {
		return nil, err
	}
	go func() {
		for e.Status().Peers[0].LastHandshake.IsZero() {
			time.Sleep(time.Millisecond)
		}
		time.Sleep(50 * time.Millisecond)
		e.Down()
	}()
	return nothing, nil
}

// load sends super-packets into the tunnel, at the rate of the task. The kernel drops
// those that do not fit into the queue of the interface.
func (t task) load() (func() (result, error), error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
	if err != nil {
		return nil, err
	}
	if err := unix.Connect(fd, &unix.SockaddrInet4{Port: 9, Addr: inner(2).As4()}); err != nil {
		return nil, err
	}
	if err := unix.SetsockoptInt(fd, unix.SOL_UDP, unix.UDP_SEGMENT, segment); err != nil {
		return nil, err
	}
	buf := make([]byte, trainSize)
	go t.pace(t.train(), func(int) bool { unix.Write(fd, buf); return true })
	return nothing, nil
}

// train returns the time between two trains, at the rate of the task.
func (t task) train() time.Duration { return time.Duration(trainSize * 8 / t.Gbit) }

// pace calls send at intervals of each until the time of the task is over, or send
// returns false.
func (t task) pace(each time.Duration, send func(i int) bool) {
	runtime.LockOSThread()
	began := time.Now()
	for i := 0; time.Since(began).Seconds() < t.Seconds; i++ {
		if early := time.Duration(i)*each - time.Since(began); early > 0 {
			time.Sleep(early)
		}
		if !send(i) {
			return
		}
	}
}

// A store keeps trains instead of sending them, once keep is set.
type store struct {
	keep   atomic.Bool
	trains []batch.Batch
}

type storeSender struct {
	udp.Sender
	store *store
}

func (s storeSender) Send(b *batch.Batch) error {
	if !s.store.keep.Load() || b.Count() < segments/2 {
		return s.Sender.Send(b)
	}
	kept := *b
	kept.Data = bytes.Clone(b.Data)
	s.store.trains = append(s.store.trains, kept)
	return nil
}

func (s storeSender) SendAll(bs []batch.Batch, errs []error) { batch.SendInTurn(s.Send, bs, errs) }

// source seals all trains, and then sends them.
func (t task) source() (func() (result, error), error) {
	device := tuntest.New("wg0", 1420)
	var stored store
	var later udp.Sender
	e, err := open(2, 1, device, engine.World{
		Listen: func(p uint16, mark uint32) (engine.Sockets, error) {
			pair, err := udp.Listen(p, udp.Options{Mark: mark})
			if err != nil {
				return nil, err
			}
			later = pair.NewSender()
			return udptest.Wrap(pair, nil, func(s udp.Sender) udp.Sender { return storeSender{s, &stored} }), nil
		},
	})
	if err != nil {
		return nil, err
	}
	frame := superPacket()
	for e.Status().Peers[0].TxBytes == 0 { // until a handshake was completed and the data sent
		device.InjectRaw(frame[: packet.VirtioHeaderSize+28+segment : len(frame)])
		time.Sleep(100 * time.Millisecond)
	}
	time.Sleep(500 * time.Millisecond)
	stored.keep.Store(true)
	for i := 0; i < t.Trains; {
		if device.InjectRaw(frame) {
			i++
		} else {
			time.Sleep(100 * time.Microsecond)
		}
	}
	for last := -1; last != len(stored.trains); time.Sleep(200 * time.Millisecond) {
		last = len(stored.trains)
	}
	go t.pace(t.train(), func(i int) bool {
		if i >= len(stored.trains) {
			return false
		}
		later.Send(&stored.trains[i])
		return true
	})
	return nothing, nil
}

// superPacket returns a super-packet of UDP from the second end to the first, as read
// from an interface of the kernel.
func superPacket() []byte {
	p := make([]byte, packet.VirtioHeaderSize+28+trainSize)
	header := packet.VirtioHeader{Flags: packet.NeedsChecksum, GSOType: packet.GSOUDPL4, HeaderLen: 28,
		GSOSize: segment, ChecksumStart: 20, ChecksumOffset: 6}
	header.Encode(p)
	ip := p[packet.VirtioHeaderSize:]
	ip[0], ip[6], ip[8], ip[9] = 0x45, 0x40, 64, 17
	binary.BigEndian.PutUint16(ip[2:], uint16(len(ip)))
	from, to := inner(2).As4(), inner(1).As4()
	copy(ip[12:], from[:])
	copy(ip[16:], to[:])
	binary.BigEndian.PutUint16(ip[20:], 2000)
	binary.BigEndian.PutUint16(ip[22:], 9)
	binary.BigEndian.PutUint16(ip[24:], uint16(8+trainSize))
	return p
}
