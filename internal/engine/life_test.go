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

// B55: Close right after start does not deadlock, whatever runs concurrently.
// B59: no goroutine is left.
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
				func() { e.Resumed(time.Hour) },
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
			t.Fatal("Done is open after Close")
		}
	}
	check()
}

// After Close every call returns and has no effect.
func TestAfterClose(t *testing.T) {
	_, a, b := pair(t)
	a.deliver(b, "hello")
	a.Close()
	if err := a.Up(); !errors.Is(err, ErrClosed) {
		t.Errorf("Up: %v", err)
	}
	if err := a.Apply(conf.Change{}); !errors.Is(err, ErrClosed) {
		t.Errorf("Apply: %v", err)
	}
	a.Down()
	a.RoutesChanged(link.AllIPv4)
	a.Resumed(time.Hour)
	a.SetMTU(1)
	a.InterfaceGone()
	a.Close()
	if err := a.Err(); err != nil {
		t.Errorf("the reason for the end is %v, want nil", err)
	}
	if st := a.Status(); st.Up || st.Name != "wg1" || !st.PrivateKey.IsZero() || len(st.Peers) != 1 || !st.Peers[0].PresharedKey.IsZero() {
		t.Errorf("after Close: %+v", st)
	}
	// A35: the keys are erased.
	if a.peer().Sessions().Sending() != nil || !a.machine.Status(a.clock()).PrivateKey.IsZero() {
		t.Error("keys are left")
	}
}

// A62, B18: if the interface is deleted, the engine ends and says why.
func TestInterfaceDeleted(t *testing.T) {
	check := balance(t)
	_, a, b := pair(t)
	a.deliver(b, "hello")
	a.tun.Delete()
	within(t, patience, "the end", func() { <-a.Done() })
	if err := a.Err(); !errors.Is(err, ErrInterfaceGone) {
		t.Errorf("the reason: %v", err)
	}
	b.Close()
	check()
}

// The engine ends if the owner of the device closes it.
func TestDeviceClosedUnderneath(t *testing.T) {
	_, a, _ := pair(t)
	a.tun.Close()
	within(t, patience, "the end", func() { <-a.Done() })
	oneSentence(t, a.Err())
}

// failingDevice is an interface whose reads fail.
type failingDevice struct {
	*tuntest.Device
	reads atomic.Int32
}

func (b *failingDevice) Queue(i int) tun.Queue { return failingQueue{b.Device.Queue(i), b} }

type failingQueue struct {
	tun.Queue
	device *failingDevice
}

func (q failingQueue) Read([]byte) (int, error) {
	q.device.reads.Add(1)
	return 0, errors.New("input/output error")
}

// B18: an interface that cannot be read ends the engine, and does not occupy a
// core until then. The log numbers the attempts, and the error has the reason.
func TestReadKeepsFailing(t *testing.T) {
	device := &failingDevice{Device: tuntest.New("wg9", 1420)}
	log := &lines{}
	a := newSite(t, udptest.NewNet(), 9, debugLog(log), func(w *World) { w.TUN = device })
	within(t, patience, "the end", func() { <-a.Done() })
	oneSentence(t, a.Err())
	if err := a.Err().Error(); !strings.Contains(err, "after 9 attempts: input/output error") {
		t.Errorf("the reason: %s", err)
	}
	for i := 1; i < maxFailures; i++ {
		want := fmt.Sprintf(`msg="read from the interface failed" attempt="%d of %d" err="input/output error"`, i, maxFailures)
		if n := log.count(want); n != 1 {
			t.Errorf("logged %d times, want once: %s", n, want)
		}
	}
	if n := device.reads.Load(); n > maxFailures {
		t.Errorf("%d reads", n)
	}
}

// failingReceiver is a Receiver that cannot receive.
type failingReceiver struct {
	udp.Receiver
	reads *atomic.Int32
}

func (d failingReceiver) Recv([]batch.Batch) (int, error) {
	d.reads.Add(1)
	return 0, io.ErrUnexpectedEOF
}

// A socket that cannot receive does not occupy a core and does not delay Close.
func TestReceiveKeepsFailing(t *testing.T) {
	var reads atomic.Int32
	fail := func(r udp.Receiver) udp.Receiver { return failingReceiver{r, &reads} }
	a := newSite(t, udptest.NewNet(), 1, func(w *World) {
		host := udptest.NewNet().Host(outer(1))
		w.Listen = func(port uint16, mark uint32) (Sockets, error) {
			pair, err := host.Listen(port, udp.Options{})
			return udptest.Wrap(pair, fail, nil), err
		}
	})
	a.up()
	time.Sleep(500 * time.Millisecond)
	if n := reads.Load(); n > 10 {
		t.Errorf("%d reads in half a second, want at most 10", n)
	}
	within(t, time.Second, "Close", a.Close)
}

// Close works during traffic in both directions.
func TestCloseWithTraffic(t *testing.T) {
	check := balance(t)
	for range 10 {
		_, a, b := pair(t)
		a.deliver(b, "hello")
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

// Status does not wait while sockets are being opened.
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
	go func() { a.Close(); close(closed) }() // during Up
	close(release)
	<-up
	within(t, patience, "Close", func() { <-closed })
	if a.Status().Up || a.sockets.get() != nil {
		t.Error("sockets are open after Close")
	}
}

// An interface that is administratively down refuses packets: they are dropped and
// counted, and the engine continues.
func TestInterfaceRefusesPackets(t *testing.T) {
	_, a, b := pair(t)
	a.deliver(b, "one")
	b.tun.SetDown(true)
	a.inject(b, "two")
	eventually(t, "the drop is counted", func() bool { return b.dropped("interface") == 1 })
	b.tun.SetDown(false)
	a.deliver(b, "three")
	b.tun.FailWrites(os.ErrInvalid)
	a.inject(b, "four")
	eventually(t, "the drop is counted", func() bool { return b.dropped("interface") == 2 })
}

// A socket whose buffer stays full delays neither Down nor Close: a waiting send
// ends when the socket is closed (A61).
func TestDownWhileSendingWaits(t *testing.T) {
	sockets := &blockedSockets{closed: make(chan struct{})}
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
	b.apply(peers(a.asPeer()))
	b.up()
	a.up()
	a.apply(peers(b.asPeer()))
	a.inject(b, "staged, and stuck while it is flushed")
	eventually(t, "a send waits", func() bool { return sockets.waiting.Load() > 0 })
	within(t, patience, "Down", a.Down)
	within(t, patience, "Close", a.Close)
}

// blockedSockets send handshake messages, but no data.
type blockedSockets struct {
	*udp.Pair
	waiting atomic.Int32
	once    sync.Once
	closed  chan struct{}
}

func (s *blockedSockets) NewSender() udp.Sender { return blockedSender{s.Pair.NewSender(), s} }

type blockedSender struct {
	udp.Sender
	sockets *blockedSockets
}

func (s blockedSender) Send(b *batch.Batch) error {
	if b.TOS == 0x88 {
		return s.Sender.Send(b)
	}
	s.sockets.waiting.Add(1)
	<-s.sockets.closed
	return os.ErrClosed
}

func (s blockedSender) SendAll(bs []batch.Batch, errs []error) { batch.SendInTurn(s.Send, bs, errs) }

func (s *blockedSockets) Close() error {
	s.once.Do(func() { close(s.closed) })
	return s.Pair.Close()
}
