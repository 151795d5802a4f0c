package lab

import (
	"bytes"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"time"
)

// EchoPort is where Echo answers.
const EchoPort = 7

// Echo makes the host answer every UDP datagram to EchoPort, of either family,
// with itself.
func (h *Host) Echo() {
	h.t.Helper()
	call[Nothing, Nothing](h, "Echo", Nothing{})
}

func (g *Agent) Echo(Nothing, *Nothing) error {
	heard := 0
	var last error
	for _, network := range []string{"udp4", "udp6"} {
		conn, err := net.ListenUDP(network, &net.UDPAddr{Port: EchoPort})
		if err != nil {
			last = err
			continue
		}
		heard++
		conn.SetReadBuffer(socketBuffer)
		g.keep(conn)
		go echo(conn)
	}
	if heard == 0 {
		return last
	}
	return nil
}

// socketBuffer keeps the lab's own sockets from dropping a train of large datagrams.
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

// Sweep asks for one datagram of every payload size from From to To, each sent to
// the echo of a host and awaited.
type Sweep struct {
	Remote   netip.Addr
	From, To int
	Step     int           // 0: every size
	Train    int           // how many are under way at once; 0: 32
	Wait     time.Duration // for an answer; 0: 2 s
}

// SweepResult is what came of it.
type SweepResult struct {
	Sent    int
	Lost    []int  // sizes that never came back
	Corrupt []int  // sizes that came back with other bytes
	Refused string // what the first refused send said
}

func (s SweepResult) String() string {
	return fmt.Sprintf("%d sent; lost %v; corrupt %v; refused: %q", s.Sent, s.Lost, s.Corrupt, s.Refused)
}

// OK reports whether every size came back whole.
func (s SweepResult) OK() bool {
	return s.Sent > 0 && len(s.Lost)+len(s.Corrupt) == 0 && s.Refused == ""
}

// Sweep sends every size and fails the test unless each comes back whole.
func (h *Host) Sweep(s Sweep) {
	h.t.Helper()
	if got := h.TrySweep(s); !got.OK() {
		h.t.Fatalf("host %s, every size %d to %d to %v: %v", h.Name, s.From, s.To, s.Remote, got)
	}
}

// TrySweep is Sweep for a test that judges the result itself.
func (h *Host) TrySweep(s Sweep) SweepResult {
	h.t.Helper()
	return call[Sweep, SweepResult](h, "Sweep", s)
}

// trainLength is how many datagrams a sweep has under way at once unless it says:
// few enough for any queue on the way, enough that batches form.
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
		s.Wait = 2 * time.Second
	}
	if s.Train == 0 {
		s.Train = trainLength
	}
	for from := s.From; from <= s.To; from += s.Train * s.Step {
		sendTrain(conn, s, from, r)
	}
	return nil
}

// sendTrain sends one train of sizes and waits for their echoes. A datagram is
// known by its length, so each length travels once.
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

// pattern is n bytes that depend on n and on their place, without a short period.
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
