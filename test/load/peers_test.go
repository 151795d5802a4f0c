package load

import (
	"bytes"
	"crypto/rand"
	"net"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"wgd/internal/cookie"
	"wgd/internal/noise"
	"wgd/internal/wire"
	"wgd/key"
)

// newDaemon is the private key of a daemon, and peers of it.
func newDaemon(t *testing.T, peers int) (*noise.Static, *Peers) {
	t.Helper()
	private, err := key.GeneratePrivate(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	s := noise.NewStatic(private)
	return s, &Peers{Seed: 5, Peers: peers, Daemon: s.Public().Hex()}
}

// The peers' initiations pass every check of a responder: mac1, the key of
// the peer that the daemon was told, a stamp greater than the last one of it.
func TestInitiations(t *testing.T) {
	daemon, c := newDaemon(t, 3)
	messages, err := initiations(c, 8)
	if err != nil || len(messages) != 8 {
		t.Fatal(len(messages), err)
	}
	checker := cookie.NewChecker(daemon.Public(), rand.Reader)
	publics, last := c.Publics(), map[key.Public]wire.TAI64N{}
	for i, text := range messages {
		msg, ok := wire.DecodeInitiation(text)
		if !ok || msg.Sender != uint32(i) || !checker.CheckMAC1(text) {
			t.Fatalf("message %d is none, or not for the daemon", i)
		}
		public, state, err := noise.ConsumeInitiationStatic(nil, daemon, &msg)
		if err != nil || public.Hex() != publics[i%3] {
			t.Fatalf("message %d: %v", i, err)
		}
		stamp, _, err := state.Finish(nil, daemon, noise.NewRemote(public))
		if err != nil || !stamp.After(last[public]) {
			t.Errorf("message %d: its stamp is not new, or %v", i, err)
		}
		last[public] = stamp
	}
}

// A peer's response completes a handshake of the daemon's.
func TestResponse(t *testing.T) {
	daemon, c := newDaemon(t, 2)
	peers, err := c.members()
	if err != nil {
		t.Fatal(err)
	}
	a := &responderState{peers: peers, daemon: daemon.Public()}
	if err := a.computeSecrets(); err != nil {
		t.Fatal(err)
	}
	var ephemeral [32]byte
	rand.Read(ephemeral[:])
	msg, hs, err := noise.CreateInitiation(nil, daemon, noise.NewRemote(c.private(1).Public()), &ephemeral, 77, wire.StampAt(time.Now()))
	if err != nil {
		t.Fatal(err)
	}
	text, err := a.respond(question{peer: 1, msg: *msg})
	if err != nil {
		t.Fatal(err)
	}
	response, ok := wire.DecodeResponse(text)
	if !ok || !cookie.NewChecker(daemon.Public(), rand.Reader).CheckMAC1(text) || response.Sender != 1 {
		t.Error("the response is none, or has no mac1, or not the peer's index")
	}
	if err := hs.ConsumeResponse(nil, new(noise.Keys), daemon, key.Preshared{}, &response); err != nil {
		t.Error(err)
	}
	if _, err := a.respond(question{peer: 0, msg: *msg}); err == nil {
		t.Error("a peer answers what was for another")
	}
}

// Losses cost a little time; cookies and strangers' datagrams are not counted.
func TestVolley(t *testing.T) {
	server, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	const count, every = 200, 50 // one in every is lost
	go func() {
		buf := make([]byte, 2048)
		for i := 0; ; i++ {
			n, from, err := server.ReadFrom(buf)
			if err != nil {
				return
			}
			if i%every == 7 {
				continue
			}
			response := wire.Response{Receiver: wire.SenderIndex(buf[:n])}
			server.WriteTo(response.AppendTo(nil), from)
			if i%10 == 0 {
				server.WriteTo((&wire.CookieReply{}).AppendTo(nil), from)
				server.WriteTo(response.AppendTo(nil), from) // twice
				server.WriteTo([]byte("nonsense"), from)
			}
		}
	}()
	conn, err := net.Dial("udp", server.LocalAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	var messages [][]byte
	for i := range count {
		messages = append(messages, (&wire.Initiation{Sender: uint32(i)}).AppendTo(nil))
	}
	v := volley{conn: conn, messages: messages}
	err = v.send()
	if r := v.soFar(); err != nil || r.Packets != count-count/every || r.Lost != count/every || v.last == 0 {
		t.Errorf("%+v, %v", r, err)
	}
	if err := (&volley{conn: conn, messages: [][]byte{bytes.Repeat([]byte{0xff}, 8)}}).send(); err == nil {
		t.Error("no answer at all is no error")
	}
}

// A storm is told of while it lasts; one that nobody answers says so, and does not
// stop without a word.
func TestStorm(t *testing.T) {
	server, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	_, c := newDaemon(t, 3)
	const count = inFlight + 10 // who stops when all are lost never sends the last ones
	look, err := storm(Job{Remote: server.LocalAddr().String(), Count: count, Peers: c})
	if err != nil {
		t.Fatal(err)
	}
	last := Reading{}
	for begun := time.Now(); err == nil; time.Sleep(10 * time.Millisecond) {
		var r Reading
		if r, err = look(); err == nil {
			last = r
		}
		if time.Since(begun) > 10*time.Second {
			t.Fatalf("still no error: %+v", last)
		}
	}
	if want := "0 of 74 initiations were answered"; !strings.Contains(err.Error(), want) || last.Lost < inFlight {
		t.Errorf("%v; seen last: %+v", err, last)
	}
}

// A session counts once, and when it is used, not when it is made.
func TestUse(t *testing.T) {
	a := &responderState{used: make([]bool, 3), slots: make(chan struct{}, 2)}
	a.slots <- struct{}{}
	for _, index := range []int{2, 2, 99} {
		a.use(index)
	}
	if a.count != 1 || len(a.slots) != 0 || a.last == 0 {
		t.Errorf("%d sessions, %d slots taken", a.count, len(a.slots))
	}
}

// The peer is found by the address that an initiation was sent to.
func TestPeerOf(t *testing.T) {
	info := unix.PktInfo4(&unix.Inet4Pktinfo{Ifindex: 3, Spec_dst: [4]byte{192, 0, 2, 1}, Addr: [4]byte{198, 18, 2, 5}})
	if peer, ok := peerOf(info); !ok || peer != 2<<8|5 {
		t.Error(peer, ok)
	}
	if got := Endpoint(2<<8 | 5); got != "198.18.2.5:5002" {
		t.Error(got)
	}
	if _, ok := peerOf(nil); ok {
		t.Error("a datagram without an address belongs to somebody")
	}
}
