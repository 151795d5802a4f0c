package engine

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"wgd/conf"
	"wgd/internal/batch"
	"wgd/internal/sys/link"
	"wgd/internal/sys/link/linktest"
	"wgd/internal/sys/tun"
	"wgd/internal/sys/tun/tuntest"
	"wgd/internal/sys/udp"
	"wgd/internal/sys/udp/udptest"
)

// B55: no deadlock on close straight after start, whatever else is under way;
// B59: and nothing stays behind.
func TestStartAndClose(t *testing.T) {
	check := balance(t)
	net := udptest.NewNet()
	for i := range 1000 {
		host := net.Host(outer(byte(i)))
		e := Open(World{
			Clock: new(site).clock, Rand: rand.Reader, TUN: tuntest.New("wg0", 1420),
			Listen: func(port uint16, mark uint32) (Sockets, error) { return host.Listen(port, udp.Options{Mark: mark}) },
			Routes: linktest.NewRoutes(),
		}, Memory{})
		var others sync.WaitGroup
		if i%2 == 1 {
			private, public := newKey(t)
			mark := uint32(i)
			for j, f := range []func(){
				func() { e.Up() },
				func() { e.Apply(conf.Change{PrivateKey: &private, FirewallMark: &mark}) },
				func() { e.Apply(conf.Change{ListenPort: new(uint16), Peers: []conf.PeerChange{{PublicKey: public}}}) },
				func() { e.Status() },
				func() { e.RoutesChanged(link.AllIPv4) },
				func() { e.Down() },
				func() { e.InterfaceGone() },
			} {
				if i%7 != j {
					others.Go(f)
				}
			}
		}
		within(t, patience, "Close", e.Close)
		others.Wait()
		select {
		case <-e.Done():
		default:
			t.Fatal("closed, and not done")
		}
	}
	check()
}

// After the end every call answers, and none does anything.
func TestAfterClose(t *testing.T) {
	_, a, b := pair(t)
	a.say(b, "hello")
	a.Close()
	if err := a.Up(); !errors.Is(err, ErrClosed) {
		t.Errorf("Up: %v", err)
	}
	if err := a.Apply(conf.Change{}); !errors.Is(err, ErrClosed) {
		t.Errorf("Apply: %v", err)
	}
	a.Down()
	a.RoutesChanged(link.AllIPv4)
	a.SetMTU(1)
	a.InterfaceGone()
	a.Close()
	if err := a.Err(); err != nil {
		t.Errorf("closed on purpose, and the reason is %v", err)
	}
	if st := a.Status(); st.Up || st.Name != "wg1" || !st.PrivateKey.IsZero() || len(st.Peers) != 1 || !st.Peers[0].PresharedKey.IsZero() {
		t.Errorf("after Close: %+v", st)
	}
	// A35: nothing is left of the keys.
	if a.peer().Sessions().Sending() != nil || !a.machine.Status(a.clock()).PrivateKey.IsZero() {
		t.Error("keys are left")
	}
}

// A62, B18: the interface is deleted underneath: the engine ends, says why, and
// takes no time.
func TestInterfaceDeleted(t *testing.T) {
	check := balance(t)
	_, a, b := pair(t)
	a.say(b, "hello")
	a.tun.Delete()
	within(t, patience, "the end", func() { <-a.Done() })
	if err := a.Err(); !errors.Is(err, ErrInterfaceGone) {
		t.Errorf("the reason: %v", err)
	}
	b.Close()
	check()
}

// The owner of a device closes it under the tunnel.
func TestDeviceClosedUnderneath(t *testing.T) {
	_, a, _ := pair(t)
	a.tun.Close()
	within(t, patience, "the end", func() { <-a.Done() })
	oneSentence(t, a.Err())
}

// broken is an interface whose reads fail from some moment on.
type broken struct {
	*tuntest.Device
	reads atomic.Int32
}

func (b *broken) Queue(i int) tun.Queue { return brokenQueue{b.Device.Queue(i), b} }

type brokenQueue struct {
	tun.Queue
	device *broken
}

func (q brokenQueue) Read([]byte) (int, error) {
	q.device.reads.Add(1)
	return 0, errors.New("input/output error")
}

// B18: an interface that cannot be read ends the engine, and takes no core
// until then. Each attempt says which of how many it was, and the end why.
func TestReadFailsForGood(t *testing.T) {
	device := &broken{Device: tuntest.New("wg9", 1420)}
	log := &lines{}
	a := newSite(t, udptest.NewNet(), 9, talkative(log), func(w *World) { w.TUN = device })
	within(t, patience, "the end", func() { <-a.Done() })
	oneSentence(t, a.Err())
	if err := a.Err().Error(); !strings.Contains(err, "after 9 attempts: input/output error") {
		t.Errorf("the reason: %s", err)
	}
	for i := 1; i < maxFailures; i++ {
		want := fmt.Sprintf(`msg="read from the interface failed" attempt="%d of %d" err="input/output error"`, i, maxFailures)
		if n := log.count(want); n != 1 {
			t.Errorf("told %d times: %s", n, want)
		}
	}
	if n := device.reads.Load(); n > maxFailures {
		t.Errorf("%d reads", n)
	}
}

// deaf is a Receiver that cannot receive.
type deaf struct {
	udp.Receiver
	asked *atomic.Int32
}

func (d deaf) Recv([]batch.Batch) (int, error) {
	d.asked.Add(1)
	return 0, io.ErrUnexpectedEOF
}

// A socket that cannot receive takes no core, and holds up no end.
func TestReceiveFailsForGood(t *testing.T) {
	var asked atomic.Int32
	deafen := func(r udp.Receiver) udp.Receiver { return deaf{r, &asked} }
	a := newSite(t, udptest.NewNet(), 1, func(w *World) {
		host := udptest.NewNet().Host(outer(1))
		w.Listen = func(port uint16, mark uint32) (Sockets, error) {
			pair, err := host.Listen(port, udp.Options{})
			return udptest.Wrap(pair, deafen, nil), err
		}
	})
	a.up()
	time.Sleep(500 * time.Millisecond)
	if n := asked.Load(); n > 10 {
		t.Errorf("asked %d times in half a second", n)
	}
	within(t, time.Second, "Close", a.Close)
}

// Close in the midst of traffic both ways.
func TestCloseWithTraffic(t *testing.T) {
	check := balance(t)
	for range 10 {
		_, a, b := pair(t)
		a.say(b, "hello")
		stop := make(chan struct{})
		var talk sync.WaitGroup
		for _, from := range []*site{a, b} {
			to := a
			if from == a {
				to = b
			}
			talk.Go(func() {
				for {
					select {
					case <-stop:
						return
					default:
						from.inject(to, "more")
						to.tun.Next(time.Millisecond)
					}
				}
			})
		}
		time.Sleep(5 * time.Millisecond)
		within(t, patience, "Close of one", a.Close)
		within(t, patience, "Close of the other", b.Close)
		close(stop)
		talk.Wait()
	}
	check()
}

// Status waits for nobody who opens sockets.
func TestStatusWhileListening(t *testing.T) {
	going, release := make(chan struct{}), make(chan struct{})
	a := newSite(t, udptest.NewNet(), 1, func(w *World) {
		listen := w.Listen
		w.Listen = func(port uint16, mark uint32) (Sockets, error) {
			close(going)
			<-release
			return listen(port, mark)
		}
	})
	up := make(chan error)
	go func() { up <- a.Up() }()
	<-going
	within(t, patience, "Status", func() { a.Status() })
	closed := make(chan struct{})
	go func() { a.Close(); close(closed) }() // comes while Up is at it
	close(release)
	<-up
	within(t, patience, "Close", func() { <-closed })
	if a.Status().Up || a.sockets.get() != nil {
		t.Error("sockets are open after Close")
	}
}

// An interface that is administratively down takes no
// packets: they are dropped and counted, and all goes on.
func TestInterfaceRefusesPackets(t *testing.T) {
	_, a, b := pair(t)
	a.say(b, "one")
	b.tun.SetDown(true)
	a.inject(b, "two")
	eventually(t, "the drop is counted", func() bool { return b.dropped("interface") == 1 })
	b.tun.SetDown(false)
	a.say(b, "three")
	b.tun.FailWrites(os.ErrInvalid)
	a.inject(b, "four")
	eventually(t, "the drop is counted", func() bool { return b.dropped("interface") == 2 })
}

// A socket whose buffer is full, and which nothing ever leaves, keeps neither
// Down nor Close waiting: what waits to send ends with the socket (A61).
func TestDownWhileSendingWaits(t *testing.T) {
	sockets := &stuck{closed: make(chan struct{})}
	net := udptest.NewNet()
	b := newSite(t, net, 2)
	a := newSite(t, net, 1, func(w *World) {
		listen := w.Listen
		w.Listen = func(port uint16, mark uint32) (Sockets, error) {
			pair, err := listen(port, mark)
			sockets.Pair = pair.(*udp.Pair)
			return sockets, err
		}
	})
	b.apply(peers(a.as()))
	b.up()
	a.up()
	a.apply(peers(b.as()))
	a.inject(b, "staged, and stuck while it is flushed")
	eventually(t, "a send waits", func() bool { return sockets.waiting.Load() > 0 })
	within(t, patience, "Down", a.Down)
	within(t, patience, "Close", a.Close)
}

// stuck are sockets that let handshakes out and no data.
type stuck struct {
	*udp.Pair
	waiting atomic.Int32
	once    sync.Once
	closed  chan struct{}
}

func (s *stuck) NewSender() udp.Sender { return stuckSender{s.Pair.NewSender(), s} }

type stuckSender struct {
	udp.Sender
	sockets *stuck
}

func (s stuckSender) Send(b *batch.Batch) error {
	if b.TOS == 0x88 {
		return s.Sender.Send(b)
	}
	s.sockets.waiting.Add(1)
	<-s.sockets.closed
	return os.ErrClosed
}

func (s *stuck) Close() error {
	s.once.Do(func() { close(s.closed) })
	return s.Pair.Close()
}
