package sim

import (
	"fmt"
	"hash/fnv"
	"testing"
	"time"

	"wgd/internal/wire"
)

// A35: an hour of two thousand clients of one server, each of which speaks now
// and then; it takes a few seconds, and nothing is left of them.
func TestThousandsOfClients(t *testing.T) {
	clients := scaled(2000)
	n := New(1)
	server, list := n.star(clients)
	server.Forgetful = true
	server.Cores, server.JobTime = 4, 50*time.Microsecond
	for _, c := range list {
		c.Forgetful = true
		at := time.Duration(n.Dice.Int64N(int64(time.Hour)))
		n.After(at, func() { c.Send(server, "hello") })
		n.After(at+time.Second, func() { server.Send(c, "hello") })
		n.After(at+100*time.Second, func() { c.Send(server, "again") })
	}
	n.Run(time.Hour + 11*time.Minute)
	if server.Counts.Packets != 2*clients || server.Counts.Sent[wire.TypeResponse] != clients {
		t.Errorf("%d packets, %d responses", server.Counts.Packets, server.Counts.Sent[wire.TypeResponse])
	}
	if server.Index.Len() != 0 {
		t.Errorf("%d indices are left", server.Index.Len()) // A35
	}
	for _, c := range list {
		if c.Counts.Packets != 1 {
			t.Fatalf("client %d got %d packets", c.Name, c.Counts.Packets)
		}
	}
}

// A whole network of peers that keep their tunnels alive, for ten minutes.
func TestManyKeepalives(t *testing.T) {
	n := New(1)
	server, list := n.star(40)
	for _, c := range list {
		persist(c, server, 25)
	}
	n.Run(10 * time.Minute)
	if got := server.Counts.Received[wire.TypeInitiation]; got < 160 || got > 200 {
		t.Errorf("%d handshakes in ten minutes", got)
	}
	if got := server.Counts.Received[wire.TypeData]; got < 40*20 || got > 40*30 {
		t.Errorf("%d keepalives", got)
	}
}

// A44, A29: all clients at once, after a restart of the server: everybody has a
// session again within the time that the jobs take, and the retransmissions.
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

// A seed tells the whole story: twice the same seed, the same datagrams at the
// same times; another one, others.
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
		t.Error("the same seed, another story")
	}
	if one == other {
		t.Error("another seed, the same story")
	}
}
