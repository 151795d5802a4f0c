package lab

import (
	"bytes"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"time"
)

// EchoPort is the port on which Echo answers.
const EchoPort = 7

// Echo makes the host send back every UDP datagram that it receives on EchoPort,
// over IPv4 and IPv6.
func (h *Host) Echo() {
	h.t.Helper()
	call[Nothing, Nothing](h, "Echo", Nothing{})
}

func (g *Agent) Echo(Nothing, *Nothing) error {
	listening := 0
	var last error
	for _, network := range []string{"udp4", "udp6"} {
		conn, err := net.ListenUDP(network, &net.UDPAddr{Port: EchoPort})
		if err != nil {
			last = err
			continue
		}
		listening++
		conn.SetReadBuffer(socketBuffer)
		g.keep(conn)
		go echo(conn)
	}
	if listening == 0 {
		return last
	}
	return nil
}

// socketBuffer is the size of the receive buffers of the lab's sockets. A whole train
// of large datagrams fits into it.
const socketBuffer = 4 << 20

func echo(conn *net.UDPConn) {
	buf := make([]byte, 1<<16)
	for {
		n, from, err := conn.ReadFromUDPAddrPort(buf)
		if err != nil {
			return
		}
		conn.WriteToUDPAddrPort(buf[:n], from)
	}
}

// A Sweep sends a datagram of every payload size from From to To to a host that
// echoes, and waits for the answers.
type Sweep struct {
	Remote   netip.Addr
	From, To int
	Step     int           // 0: every size
	Train    int           // how many datagrams are in flight at once; 0: 32
	Wait     time.Duration // for the answers of a train; 0: 5 s
}

// A SweepResult says which datagrams came back.
type SweepResult struct {
	Sent    int
	Lost    []int  // sizes of which no answer came
	Corrupt []int  // sizes that came back with different bytes
	Refused string // the last error of sending, or ""
}

func (s SweepResult) String() string {
	return fmt.Sprintf("%d sent; lost %v; corrupt %v; refused: %q", s.Sent, s.Lost, s.Corrupt, s.Refused)
}

// OK reports whether every datagram came back unchanged.
func (s SweepResult) OK() bool {
	return s.Sent > 0 && len(s.Lost)+len(s.Corrupt) == 0 && s.Refused == ""
}

// Sweep fails the test unless every datagram comes back unchanged.
func (h *Host) Sweep(s Sweep) {
	h.t.Helper()
	if got := h.TrySweep(s); !got.OK() {
		h.t.Fatalf("host %s, payloads of %d to %d bytes to %v: %v", h.Name, s.From, s.To, s.Remote, got)
	}
}

// TrySweep is like Sweep, but returns the result to the test.
func (h *Host) TrySweep(s Sweep) SweepResult {
	h.t.Helper()
	return call[Sweep, SweepResult](h, "Sweep", s)
}

// trainLength is how many datagrams of a sweep are in flight by default: few enough
// for every queue on their path, and enough to form batches.
const trainLength = 32

func (g *Agent) Sweep(s Sweep, r *SweepResult) error {
	conn, err := net.ListenUDP("udp", nil)
	if err != nil {
		return err
	}
	defer conn.Close()
	conn.SetReadBuffer(socketBuffer)
	if s.Step == 0 {
		s.Step = 1
	}
	if s.Wait == 0 {
		s.Wait = 5 * time.Second
	}
	if s.Train == 0 {
		s.Train = trainLength
	}
	for from := s.From; from <= s.To; from += s.Train * s.Step {
		sendTrain(conn, s, from, r)
	}
	return nil
}

// sendTrain sends the datagrams of one train and waits for their echoes. A datagram
// is identified by its length, so each length is sent only once.
func sendTrain(conn *net.UDPConn, s Sweep, from int, r *SweepResult) {
	pending := map[int]bool{}
	for size := from; size <= s.To && size < from+s.Train*s.Step; size += s.Step {
		r.Sent++
		if _, err := conn.WriteToUDPAddrPort(pattern(size), netip.AddrPortFrom(s.Remote, EchoPort)); err != nil {
			r.Refused = fmt.Sprintf("size %d: %v", size, err)
			continue
		}
		pending[size] = true
	}
	buf := make([]byte, 1<<16)
	conn.SetReadDeadline(time.Now().Add(s.Wait))
	for len(pending) > 0 {
		n, _, err := conn.ReadFromUDPAddrPort(buf)
		if err != nil {
			break
		}
		if pending[n] && !bytes.Equal(buf[:n], pattern(n)) {
			r.Corrupt = append(r.Corrupt, n)
		}
		delete(pending, n)
	}
	for size := range pending {
		r.Lost = append(r.Lost, size)
	}
	slices.Sort(r.Lost)
}

// pattern returns n bytes that depend on n and on their offset, without a short
// period.
func pattern(n int) []byte {
	b := make([]byte, n)
	x := uint64(n)*0x9e3779b97f4a7c15 + 1
	for i := range b {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
		b[i] = byte(x)
	}
	return b
}
