package lab

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"time"
)

// A Flow is a sequence of datagrams that contain their number: 0, 1, 2, …
type Flow struct {
	Local    string // the address, the port or both to send from; "": any
	Remote   netip.AddrPort
	Size     int           // of the payload; at least 8
	Interval time.Duration // between two datagrams; 0: as fast as possible
	Count    int           // 0: until stopped
	TOS      int           // of the inner header, ECN bits included
}

// A FlowResult is what the sender of a flow has done.
type FlowResult struct {
	Sent   int
	Errors map[string]int // how often each error of sending occurred
}

// An Arrival is a datagram of a flow that was received.
type Arrival struct {
	Seq  uint64
	At   time.Time
	From netip.AddrPort
	Size int
}

// longestLag is how far a sender may fall behind and still catch up. With one
// datagram per millisecond it then sends a burst of 50, which fits into every queue.
const longestLag = 50 * time.Millisecond

type sender struct {
	stop    chan struct{}
	done    chan struct{}
	counted bool // it ends after Count datagrams
	FlowResult
}

type collector struct {
	mu       sync.Mutex
	arrivals []Arrival
}

// StartFlow starts to send a flow. It returns the number of the sender.
func (h *Host) StartFlow(f Flow) int {
	h.t.Helper()
	return call[Flow, int](h, "StartFlow", f)
}

// StopFlow stops a sender. If its flow has a Count, StopFlow waits for its end.
func (h *Host) StopFlow(id int) FlowResult {
	h.t.Helper()
	return call[int, FlowResult](h, "StopFlow", id)
}

// Send sends a flow that has a Count.
func (h *Host) Send(f Flow) FlowResult {
	h.t.Helper()
	return h.StopFlow(h.StartFlow(f))
}

// Collect starts to receive flows on a port, over IPv4 and IPv6. It returns the
// number of the collector.
func (h *Host) Collect(port int) int {
	h.t.Helper()
	return call[int, int](h, "Collect", port)
}

// Collected returns what a collector has received so far, in the order of arrival.
func (h *Host) Collected(id int) []Arrival {
	h.t.Helper()
	return call[int, []Arrival](h, "Collected", id)
}

func (g *Agent) StartFlow(f Flow, id *int) error {
	local, err := localAddr(f.Local)
	if err != nil {
		return err
	}
	conn, err := net.ListenUDP("udp", local)
	if err != nil {
		return err
	}
	if f.TOS != 0 {
		setTOS(conn, f.TOS)
	}
	s := &sender{counted: f.Count > 0, stop: make(chan struct{}), done: make(chan struct{}), FlowResult: FlowResult{Errors: map[string]int{}}}
	*id = g.keep(s)
	go s.run(conn, f)
	return nil
}

func localAddr(local string) (*net.UDPAddr, error) {
	if local == "" {
		return nil, nil
	}
	if a, err := netip.ParseAddr(local); err == nil {
		return &net.UDPAddr{IP: a.AsSlice()}, nil
	}
	return net.ResolveUDPAddr("udp", local)
}

func setTOS(conn *net.UDPConn, tos int) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return
	}
	raw.Control(func(fd uintptr) {
		syscall.SetsockoptInt(int(fd), syscall.IPPROTO_IP, syscall.IP_TOS, tos)
		syscall.SetsockoptInt(int(fd), syscall.IPPROTO_IPV6, syscall.IPV6_TCLASS, tos)
	})
}

func (s *sender) run(conn *net.UDPConn, f Flow) {
	defer close(s.done)
	defer conn.Close()
	b := make([]byte, max(f.Size, 8))
	next := time.Now()
	for seq := 0; f.Count == 0 || seq < f.Count; seq++ {
		binary.BigEndian.PutUint64(b, uint64(seq))
		if _, err := conn.WriteToUDPAddrPort(b, f.Remote); err != nil {
			s.Errors[err.Error()]++
		}
		s.Sent++
		// After a long pause of the machine, continue without catching up.
		next = next.Add(f.Interval)
		if now := time.Now(); now.Sub(next) > longestLag {
			next = now
		}
		select {
		case <-s.stop:
			return
		case <-time.After(time.Until(next)):
		}
	}
}

func (g *Agent) StopFlow(id int, r *FlowResult) error {
	s, err := opened[*sender](g, id)
	if err != nil {
		return err
	}
	if !s.counted {
		s.stop <- struct{}{}
	}
	<-s.done
	*r = s.FlowResult
	return nil
}

func (g *Agent) Collect(port int, id *int) error {
	conn, err := net.ListenUDP("udp", &net.UDPAddr{Port: port})
	if err != nil {
		return err
	}
	conn.SetReadBuffer(socketBuffer)
	c := &collector{}
	*id = g.keep(c)
	go c.run(conn)
	return nil
}

func (c *collector) run(conn *net.UDPConn) {
	buf := make([]byte, 1<<16)
	for {
		n, from, err := conn.ReadFromUDPAddrPort(buf)
		if err != nil {
			return
		}
		if n < 8 {
			continue
		}
		a := Arrival{binary.BigEndian.Uint64(buf), time.Now(), netip.AddrPortFrom(from.Addr().Unmap(), from.Port()), n}
		c.mu.Lock()
		c.arrivals = append(c.arrivals, a)
		c.mu.Unlock()
	}
}

func (g *Agent) Collected(id int, r *[]Arrival) error {
	c, err := opened[*collector](g, id)
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	*r = append([]Arrival{}, c.arrivals...)
	return nil
}

// A Summary describes a flow at its receiver.
type Summary struct {
	Received, Lost, Twice, Late int           // Late: received after a higher number
	Gap                         time.Duration // the longest time between two arrivals
}

func (s Summary) String() string {
	return fmt.Sprintf("%d received, %d lost, %d twice, %d out of order, longest silence %v", s.Received, s.Lost, s.Twice, s.Late, s.Gap)
}

// Summarize returns the summary of a flow of which sent datagrams were sent.
func Summarize(arrivals []Arrival, sent int) Summary {
	s := Summary{Received: len(arrivals)}
	seen := map[uint64]bool{}
	var high uint64
	for i, a := range arrivals {
		if seen[a.Seq] {
			s.Twice++
		}
		seen[a.Seq] = true
		if a.Seq < high {
			s.Late++
		}
		high = max(high, a.Seq)
		if i > 0 {
			s.Gap = max(s.Gap, a.At.Sub(arrivals[i-1].At))
		}
	}
	s.Lost = sent - len(seen)
	return s
}
