package sim

import (
	"fmt"
	"hash/fnv"
	"testing"
	"time"

	"wgd/internal/wire"
)

// A35: two thousand clients of one server, each of which sends occasionally,
// for an hour. Afterwards nothing is left of their sessions.
func TestThousandsOfClients(t *testing.T) {
	clients := scaled(2000)
	n := New(1)
	server, list := n.star(clients)
	server.Forgetful = true
	server.Cores, server.JobTime = 4, 50*time.Microsecond
	for _, c := range list {
		c.Forgetful = true
		at := time.Duration(n.Rand.Int64N(int64(time.Hour)))
		n.After(at, func() { c.Send(server, "hello") })
		n.After(at+time.Second, func() { server.Send(c, "hello") })
		n.After(at+100*time.Second, func() { c.Send(server, "again") })
	}
	n.Run(time.Hour + 11*time.Minute)
	if server.Counts.Packets != 2*clients || server.Counts.Sent[wire.TypeResponse] != clients {
		t.Errorf("%d packets, %d responses; want %d, %d", server.Counts.Packets, server.Counts.Sent[wire.TypeResponse], 2*clients, clients)
	}
	if server.Index.Len() != 0 {
		t.Errorf("%d indices are left, want none", server.Index.Len()) // A35
	}
	for _, c := range list {
		if c.Counts.Packets != 1 {
			t.Fatalf("client %d got %d packets, want 1", c.Name, c.Counts.Packets)
		}
	}
}

// Forty clients with persistent keepalives, for ten minutes.
func TestManyKeepalives(t *testing.T) {
	n := New(1)
	server, list := n.star(40)
	for _, c := range list {
		persist(c, server, 25)
	}
	n.Run(10 * time.Minute)
	if got := server.Counts.Received[wire.TypeInitiation]; got < 160 || got > 200 {
		t.Errorf("%d handshakes in ten minutes, want 160 to 200", got)
	}
	if got := server.Counts.Received[wire.TypeData]; got < 40*20 || got > 40*30 {
		t.Errorf("%d keepalives, want %d to %d", got, 40*20, 40*30)
	}
}

// A44, A29: if all clients start a handshake at once, all have a session within
// the time of the jobs and two retransmissions.
func TestStorm(t *testing.T) {
	clients := scaled(300)
	n := New(1)
	server, list := n.star(clients)
	server.Cores, server.JobTime = 2, 200*time.Microsecond
	for _, c := range list {
		c.Forgetful = true
		c.Send(server, "x")
	}
	n.Run(11 * time.Second)
	if server.Counts.Packets != clients {
		t.Errorf("%d of %d clients have a session", server.Counts.Packets, clients)
	}
}

// Two runs with the same seed send the same datagrams at the same times; a run
// with another seed does not.
func TestRepeatable(t *testing.T) {
	traffic := func(seed uint64) uint64 {
		n := New(seed)
		h := fnv.New64()
		n.Tap = func(from *Host, d *Datagram) { fmt.Fprintln(h, from.Name, d.At, d.Data) }
		a, b := n.Pair()
		for _, x := range n.Hosts {
			x.JobTime, x.JobJitter, x.CoreDelay = time.Millisecond, 10*time.Millisecond, 5*time.Millisecond
		}
		n.Default = Path{Delay: time.Millisecond, Jitter: 300 * time.Millisecond, Loss: 0.2, Duplicate: 0.2}
		for range 200 {
			a.Send(b, "x")
			b.Send(a, "y")
			n.Run(2 * time.Second)
		}
		return h.Sum64()
	}
	one, again, other := traffic(1), traffic(1), traffic(2)
	if one != again {
		t.Error("two runs with the same seed differ")
	}
	if one == other {
		t.Error("runs with different seeds are equal")
	}
}
