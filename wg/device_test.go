package wg_test

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"sync"

	"wgd/conf"
	"wgd/key"
	"wgd/wg"
)

// A queue is a Device in memory: what is put into out is sent through the tunnel,
// and what arrives is in in.
type queue struct {
	out, in chan []byte // frames
	closed  chan struct{}
	closing sync.Once
}

var _ wg.Device = (*queue)(nil)

func newQueue() *queue {
	return &queue{out: make(chan []byte, 16), in: make(chan []byte, 16), closed: make(chan struct{})}
}

func (q *queue) Name() string      { return "queue" }
func (q *queue) MTU() (int, error) { return 1420, nil }

func (q *queue) Read(b []byte) (int, error) {
	select {
	case frame := <-q.out:
		return copy(b, frame), nil
	case <-q.closed:
		return 0, os.ErrClosed
	}
}

func (q *queue) TryRead(b []byte) (n int, ok bool, err error) {
	select {
	case <-q.closed:
		return 0, false, os.ErrClosed
	case frame := <-q.out:
		return copy(b, frame), true, nil
	default:
		return 0, false, nil
	}
}

func (q *queue) Write(pieces [][]byte) error {
	select {
	case <-q.closed:
		return os.ErrClosed
	case q.in <- slices.Concat(pieces...):
	default: // full: the packet is dropped, as an interface does
	}
	return nil
}

func (q *queue) Close() error {
	q.closing.Do(func() { close(q.closed) })
	return nil
}

// A Device of one's own: a program that makes its own packets sends one through a
// tunnel to another Device.
func ExampleDevice() {
	a, b := newQueue(), newQueue()
	privateA, err := key.GeneratePrivate(rand.Reader)
	check(err)
	privateB, err := key.GeneratePrivate(rand.Reader)
	check(err)
	tunnelA, err := wg.Open(wg.Options{Name: "a", Device: a})
	check(err)
	defer tunnelA.Close()
	tunnelB, err := wg.Open(wg.Options{Name: "b", Device: b})
	check(err)
	defer tunnelB.Close()
	peer := func(public key.Public, prefix string) conf.PeerChange {
		return conf.PeerChange{PublicKey: public, AllowedIPs: []conf.AllowedIPChange{{Prefix: netip.MustParsePrefix(prefix)}}}
	}
	check(tunnelB.Apply(conf.Change{PrivateKey: &privateB, Peers: []conf.PeerChange{peer(privateA.Public(), "10.0.0.1/32")}}))
	toB := peer(privateB.Public(), "10.0.0.2/32")
	at := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), tunnelB.Status().ListenPort)
	toB.Endpoint = &at
	check(tunnelA.Apply(conf.Change{PrivateKey: &privateA, Peers: []conf.PeerChange{toB}}))

	// Ten zero bytes, and an IPv4 packet of protocol 253, which is for experiments.
	const header = 10
	text := "a packet of our own"
	frame := make([]byte, header+20+len(text))
	packet := frame[header:]
	packet[0], packet[8], packet[9] = 0x45, 64, 253
	binary.BigEndian.PutUint16(packet[2:], uint16(len(packet)))
	copy(packet[12:], netip.MustParseAddr("10.0.0.1").AsSlice())
	copy(packet[16:], netip.MustParseAddr("10.0.0.2").AsSlice())
	copy(packet[20:], text)
	a.out <- frame

	fmt.Println(string((<-b.in)[header+20:]))
	// Output: a packet of our own
}
