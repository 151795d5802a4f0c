package lab

import (
	"net"
	"net/netip"
	"sync/atomic"
	"time"
)

// Blast asks for datagrams of one size, as many as the socket takes.
type Blast struct {
	Remote  netip.AddrPort
	Size    int
	Time    time.Duration
	Senders int // sockets at once; 0: one
}

type counter struct{ datagrams, bytes atomic.Int64 }

// Blast sends for a while; how many datagrams it sent.
func (h *Host) Blast(b Blast) int64 {
	h.t.Helper()
	return call[Blast, int64](h, "Blast", b)
}

// Count starts to count datagrams that come to a port.
func (h *Host) Count(port int) int {
	h.t.Helper()
	return call[int, int](h, "Count", port)
}

// Counted is how many came so far.
func (h *Host) Counted(id int) int64 {
	h.t.Helper()
	return call[int, int64](h, "Counted", id)
}

func (g *Agent) Blast(b Blast, sent *int64) error {
	var total atomic.Int64
	done := make(chan error)
	senders := max(b.Senders, 1)
	for range senders {
		go func() {
			n, err := blast(b)
			total.Add(n)
			done <- err
		}()
	}
	var err error
	for range senders {
		if e := <-done; e != nil {
			err = e
		}
	}
	*sent = total.Load()
	return err
}

func blast(b Blast) (int64, error) {
	conn, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(b.Remote))
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	buf := make([]byte, b.Size)
	var n int64
	for start := time.Now(); time.Since(start) < b.Time; {
		for range 32 {
			if _, err := conn.Write(buf); err == nil {
				n++
			}
		}
	}
	return n, nil
}

func (g *Agent) Count(port int, id *int) error {
	conn, err := net.ListenUDP("udp", &net.UDPAddr{Port: port})
	if err != nil {
		return err
	}
	conn.SetReadBuffer(socketBuffer)
	c := &counter{}
	*id = g.keep(c)
	go func() {
		buf := make([]byte, 1<<16)
		for {
			n, err := conn.Read(buf)
			if err != nil {
				return
			}
			c.datagrams.Add(1)
			c.bytes.Add(int64(n))
		}
	}()
	return nil
}

func (g *Agent) Counted(id int, r *int64) error {
	c, err := opened[*counter](g, id)
	if err != nil {
		return err
	}
	*r = c.datagrams.Load()
	return nil
}
