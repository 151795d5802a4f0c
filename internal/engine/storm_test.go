package engine

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"wgd/conf"
	"wgd/internal/batch"
	"wgd/internal/clock"
	"wgd/internal/cookie"
	"wgd/internal/driver"
	"wgd/internal/noise"
	"wgd/internal/sys/udp"
	"wgd/internal/sys/udp/udptest"
	"wgd/internal/wire"
	"wgd/key"
)

// initiation returns an initiation by the owner of a private key, without a cookie.
func initiation(t testing.TB, from key.Private, to key.Public) []byte {
	t.Helper()
	var ephemeral [32]byte
	var index [4]byte
	rand.Read(ephemeral[:])
	rand.Read(index[:])
	msg, _, err := noise.CreateInitiation(nil, noise.NewStatic(from), noise.NewRemote(to), &ephemeral,
		binary.LittleEndian.Uint32(index[:]), wire.StampAt(time.Now()))
	if err != nil {
		t.Fatal(err)
	}
	raw := msg.AppendTo(nil)
	maker := cookie.NewMaker(to)
	maker.AddMACs(clock.Time(1), raw)
	return raw
}

// from returns the n-th of many remote endpoints.
func from(n int) wire.Endpoint {
	return wire.NewEndpoint(netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, byte(n >> 16), byte(n >> 8), byte(n)}), 51820), netip.Addr{}, 0)
}

func train(msg []byte, end wire.Endpoint) batch.Batch {
	return batch.Batch{Data: msg, Stride: len(msg), Remote: end}
}

// A44, B49: 2,000 peers initiate to one responder at once. Data between two other
// peers still passes, and the queue stays within its bound (A28).
func TestStormAndData(t *testing.T) {
	_, a, b := pair(t)
	a.deliver(b, "hello")
	n := 2000
	if underRace {
		n = 300 // curves are slow there
	}
	all := make([]conf.PeerChange, n)
	storm := make([][]byte, n)
	for i := range n {
		private, public := newKey(t)
		all[i].PublicKey = public
		storm[i] = initiation(t, private, b.public)
	}
	b.apply(peers(all...))
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := range n {
			b.conn().Inject(train(storm[i], from(i)))
			if i%100 == 99 {
				time.Sleep(time.Millisecond)
			}
		}
	}()
	var slowest time.Duration
	for i := 0; ; i++ {
		begun := time.Now()
		a.deliver(b, fmt.Sprint("amid the storm ", i))
		slowest = max(slowest, time.Since(begun))
		if w := b.inbox.waiting(); w > driver.Capacity {
			t.Fatalf("%d messages wait, want at most %d", w, driver.Capacity)
		}
		select {
		case <-done:
			if i > 100 {
				t.Logf("%d packets, the slowest took %v; %v", i, slowest, b.Status().Drops)
				b.deliver(a, "and the other way")
				return
			}
		default:
		}
	}
}

// B26, B27, B6: a legitimate peer gets a session during a flood from strangers that
// know the public key: below the threshold of load, around it, and far above it.
func TestPeerUnderFlood(t *testing.T) {
	const edge = driver.Capacity / 8
	bursts := []int{16, edge - 28, edge + 28, 4 * edge}
	if underRace {
		bursts = bursts[2:]
	}
	for _, burst := range bursts {
		t.Run(fmt.Sprint("bursts of ", burst), func(t *testing.T) { underFlood(t, burst) })
	}
}

// counted is a Receiver that counts the trains that were read from it.
type counted struct {
	udp.Receiver
	got *atomic.Int64
}

func (c counted) Recv(bs []batch.Batch) (int, error) {
	n, err := c.Receiver.Recv(bs)
	c.got.Add(int64(n))
	return n, err
}

func (c counted) TryRecv(bs []batch.Batch) (int, error) {
	n, err := c.Receiver.TryRecv(bs)
	c.got.Add(int64(n))
	return n, err
}

// flooded returns a pair; got counts the trains that b reads.
func flooded(t *testing.T) (a, b *site, got *atomic.Int64) {
	net := udptest.NewNet()
	got = new(atomic.Int64)
	a = newSite(t, net, 1)
	b = newSite(t, net, 2, func(w *World) {
		listen := w.Listen
		w.Listen = func(port uint16, mark uint32) (Sockets, error) {
			pair, err := listen(port, mark)
			return udptest.Wrap(pair.(*udp.Pair), func(r udp.Receiver) udp.Receiver { return counted{r, got} }, nil), err
		}
	})
	b.apply(peers(a.asPeer()))
	a.up()
	b.up()
	a.apply(peers(b.asPeer()))
	return a, b, got
}

// strangers returns initiations of a stranger that knows the public key of b.
func strangers(t *testing.T, b *site) [][]byte {
	private, _ := newKey(t)
	messages := make([][]byte, 64)
	for i := range messages {
		messages[i] = initiation(t, private, b.public)
	}
	return messages
}

func underFlood(t *testing.T, burst int) {
	a, b, got := flooded(t)
	messages := strangers(t, b)
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for i := 0; ; {
			for range burst {
				b.conn().Inject(train(messages[i%len(messages)], from(i)))
				i++
			}
			// Wait until these are read: the socket would drop more.
			for got.Load() < int64(i) {
				select {
				case <-stop:
					return
				case <-time.After(50 * time.Microsecond):
				}
			}
		}
	}()
	defer func() { close(stop); <-done }()
	time.Sleep(50 * time.Millisecond)
	a.inject(b, "let me in")
	wait := time.Second
	if underRace {
		wait *= 4 // everything takes ten times as long
	}
	for try := range 18 {
		if b.receives("let me in", wait) {
			a.deliver(b, "data beside the flood") // B49
			t.Logf("after %d initiations; b read %d messages and sent %d; %v", try+1, got.Load(), b.conn().Sent(), b.Status().Drops)
			return
		}
		a.sleep(6 * time.Second) // the next initiation
	}
	t.Fatalf("not let in; a: %v, b: %v", a.Status().Drops, b.Status().Drops)
}

// B49: under a flood of 64,000 handshake messages a second, data keeps at least a
// tenth of its rate.
func TestDataUnderFlood(t *testing.T) {
	a, b, _ := flooded(t)
	a.deliver(b, "hello")
	before := rate(a, b)
	messages := strangers(t, b)
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for i := 0; ; {
			for range 64 {
				b.conn().Inject(train(messages[i%len(messages)], from(i)))
				i++
			}
			select {
			case <-stop:
				return
			case <-time.After(time.Millisecond):
			}
		}
	}()
	time.Sleep(50 * time.Millisecond)
	under := rate(a, b)
	close(stop)
	<-done
	t.Logf("%d packets before, %d under the flood; b sent %d messages", before, under, b.conn().Sent())
	if under == 0 || under < before/10 && !underRace {
		t.Errorf("%d packets arrived under the flood, %d before", under, before)
	}
}

// rate returns how many packets arrive at b in half a second while a keeps sending.
func rate(a, b *site) (arrived int) {
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			for range 32 {
				a.inject(b, "one of many")
			}
			select {
			case <-stop:
				return
			case <-time.After(100 * time.Microsecond):
			}
		}
	}()
	for end := time.Now().Add(500 * time.Millisecond); time.Now().Before(end); {
		if _, ok := b.tun.Next(10 * time.Millisecond); ok {
			arrived++
		}
	}
	close(stop)
	<-done
	return arrived
}

// A44: thousands of our own initiations, to peers that do not answer, do not delay
// a peer that initiates.
func TestOwnStorm(t *testing.T) {
	_, a, b := pair(t)
	const n = 10000
	all := make([]conf.PeerChange, n)
	interval := uint16(25)
	for i := range n {
		var public key.Public
		rand.Read(public[:])
		at := from(i).Remote
		all[i] = conf.PeerChange{PublicKey: public, Endpoint: &at, PersistentKeepalive: &interval}
	}
	b.apply(peers(all...)) // each is owed a keepalive at once, so a handshake
	begun := time.Now()
	a.deliver(b, "in the midst of it")
	took := time.Since(begun)
	b.workers.mu.Lock()
	left := b.workers.jobs.OwnWaiting()
	b.workers.mu.Unlock()
	t.Logf("answered after %v, with %d initiations still to be made", took, left)
	if left == 0 {
		t.Error("the storm ended before the answer: the test proves nothing")
	}
	within(t, patience, "Close", b.Close)
}

// Cookie replies and responses to no message of ours take no place in the queues.
func TestNoQueueForStrangers(t *testing.T) {
	_, a, b := pair(t)
	a.deliver(b, "hello")
	reply := make([]byte, wire.CookieReplySize)
	reply[0] = byte(wire.TypeCookieReply)
	response := make([]byte, wire.ResponseSize)
	response[0] = byte(wire.TypeResponse)
	rand.Read(response[4:])
	maker := cookie.NewMaker(b.public)
	maker.AddMACs(clock.Time(1), response)
	admitter := b.newAdmitter()
	b.mu.Lock() // nothing is taken from the queues
	for i := range 2000 {
		rand.Read(reply[4:])
		admitter.receive(from(i), reply)
		admitter.receive(from(i), response)
	}
	admitter.check(2000)
	b.inbox.mu.Lock()
	if h, c := b.inbox.in.Waiting(), b.inbox.in.WaitingCookies(); h != 0 || c != 0 {
		t.Errorf("%d handshakes and %d cookie replies wait", h, c)
	}
	b.inbox.mu.Unlock()
	b.mu.Unlock()
	if n := b.dropped("handshake"); n != 4000 {
		t.Errorf("%d drops counted, want 4000", n)
	}
	if b.admission.Gate.UnderLoad(b.clock().Mono) {
		t.Error("messages of strangers put the gate under load")
	}
}
