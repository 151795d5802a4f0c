package load

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"strconv"
	"sync"
	"time"

	"wgd/test/lab"
)

// A Silence is the longest time in which a peer or a flow has heard nothing since the last
// reading, in nanoseconds of the monotonic clock. To is 0 if it lasts.
type Silence struct{ From, To int64 }

// A hearing records when something was heard.
type hearing struct {
	count   uint64
	last    int64 // when, or when it began to listen; 0: it does not yet
	longest Silence
}

// begin begins to listen.
func (h *hearing) begin(now int64) {
	if h.last == 0 {
		h.last = now
	}
}

func (h *hearing) now(now int64) {
	h.begin(now)
	if s := (Silence{h.last, now}); s.To-s.From > h.longest.To-h.longest.From {
		h.longest = s
	}
	h.last = now
	h.count++
}

// take returns the longest silence, and forgets it.
func (h *hearing) take() Silence {
	s := h.longest
	h.longest = Silence{}
	if now := Now(); now-h.last > s.To-s.From {
		return Silence{h.last, 0}
	}
	return s
}

// A flow goes to a server that sends everything back.
type flow struct {
	mu     sync.Mutex
	heard  hearing
	broken bool
}

// takeFlows returns what has happened to flows since the last reading.
func takeFlows(flows []flow) Reading {
	r := Reading{Nanoseconds: Now()}
	for i := range flows {
		f := &flows[i]
		f.mu.Lock()
		r.Packets += f.heard.count
		r.Silences = append(r.Silences, f.heard.take())
		if f.broken {
			r.Lost++
		}
		f.mu.Unlock()
	}
	return r
}

var errNoFlows = errors.New("flows need a count and a rate of packets")

// localOf returns the address from which a flow of a job goes: with Job.Peers, that of one of
// the peers of Clients on this host, which are used in turn.
func localOf(j Job, flow int) net.IP {
	if j.Peers == nil {
		return nil
	}
	return netip.MustParseAddr(ClientInner(flow * j.Peers.Peers / j.Count)).AsSlice()
}

// tcpFlows holds Job.Count connections to a TCPEcho, and uses each Job.PacketRate times a
// second, if the answer came to what it sent before. Lost are those that are broken.
func tcpFlows(j Job) (func() (Reading, error), error) {
	if j.Count < 1 || j.PacketRate <= 0 {
		return nil, errNoFlows
	}
	flows, conns := make([]flow, j.Count), make([]net.Conn, j.Count)
	_, err := forEach(j.Count, func(i int) (err error) {
		d := net.Dialer{Timeout: 20 * time.Second, LocalAddr: &net.TCPAddr{IP: localOf(j, i)}}
		conns[i], err = d.Dial("tcp", net.JoinHostPort(j.Remote, strconv.Itoa(port)))
		return err
	})
	if err != nil {
		return nil, err
	}
	for i := range flows {
		go flows[i].converse(conns[i], time.Duration(float64(time.Second)/j.PacketRate))
	}
	return func() (Reading, error) { return takeFlows(flows), nil }, nil
}

// converse sends something and waits for it to return, again and again.
func (f *flow) converse(conn net.Conn, interval time.Duration) {
	buf := make([]byte, 32)
	for {
		if _, err := conn.Write(buf); err != nil {
			break
		}
		if _, err := io.ReadFull(conn, buf); err != nil {
			break
		}
		f.mu.Lock()
		f.heard.now(Now())
		f.mu.Unlock()
		time.Sleep(interval)
	}
	f.mu.Lock()
	f.broken = true
	f.mu.Unlock()
}

// udpFlows sends Job.PacketRate datagrams a second in each of Job.Count flows to a lab.Echo.
func udpFlows(j Job) (func() (Reading, error), error) {
	if j.Count < 1 || j.PacketRate <= 0 {
		return nil, errNoFlows
	}
	flows := make([]flow, j.Count)
	for i := range flows {
		conn, err := (&net.Dialer{LocalAddr: &net.UDPAddr{IP: localOf(j, i)}}).Dial("udp", net.JoinHostPort(j.Remote, strconv.Itoa(lab.EchoPort)))
		if err != nil {
			return nil, err
		}
		flows[i].heard.begin(Now())
		go func() {
			for ; ; time.Sleep(time.Duration(float64(time.Second) / j.PacketRate)) {
				conn.Write(make([]byte, 32)) // an ICMP error that came before is no reason to stop
			}
		}()
		go func() {
			for buf := make([]byte, 64); ; {
				if _, err := conn.Read(buf); err == nil {
					flows[i].mu.Lock()
					flows[i].heard.now(Now())
					flows[i].mu.Unlock()
				}
			}
		}()
	}
	return func() (Reading, error) { return takeFlows(flows), nil }, nil
}
