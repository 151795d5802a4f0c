package main

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"time"

	"wgd/test/lab"
)

// stage is what a lab wants of a test, for a program: its first failure ends the
// measurement as an error.
type stage struct {
	cleanups []func()
	failed   bool
	soft     error
}

type failure struct{ error }

func (s *stage) Helper()                         {}
func (s *stage) Name() string                    { return "bench" }
func (s *stage) Failed() bool                    { return s.failed }
func (s *stage) Cleanup(f func())                { s.cleanups = append(s.cleanups, f) }
func (s *stage) Logf(format string, args ...any) {}
func (s *stage) Errorf(format string, args ...any) {
	s.failed, s.soft = true, fmt.Errorf(format, args...)
}
func (s *stage) Fatalf(format string, args ...any) {
	s.failed = true
	panic(failure{fmt.Errorf(format, args...)})
}

// bound runs f on a stage and takes down what it built.
func bound(f func(lab.T)) (err error) {
	s := &stage{}
	defer func() {
		for i := len(s.cleanups) - 1; i >= 0; i-- {
			s.cleanups[i]()
		}
		if err == nil {
			err = s.soft
		}
	}()
	defer func() {
		switch p := recover().(type) {
		case nil:
		case failure:
			err = p.error
		default:
			panic(p)
		}
	}()
	f(s)
	return nil
}

// pair is two hosts and a tunnel between them, warm.
type pair struct {
	a, b       *lab.Host
	pidA, pidB int
}

func newPair(t lab.T, daemon string) pair {
	a, b := lab.Pair(t)
	lab.Connect(a, b, "192.0.2.1:1234", lab.Settings{Daemon: daemon}, lab.Settings{Daemon: daemon})
	b.Ping(lab.InnerA4, 3)
	a.Sink(9)
	b.Stream(lab.Stream{Remote: sink, Time: 500 * time.Millisecond})
	return pair{a, b, only(t, a, daemon), only(t, b, daemon)}
}

var sink = netip.MustParseAddrPort(lab.InnerA4 + ":9")

func only(t lab.T, h *lab.Host, daemon string) int {
	pids := h.PIDs(daemon)
	if len(pids) != 1 {
		t.Fatalf("host %s has %d processes named %s", h.Name, len(pids), daemon)
	}
	return pids[0]
}

// cpu is the processor time that both daemons have used.
func (p pair) cpu(t lab.T) time.Duration {
	sa, errA := p.a.Stat(p.pidA)
	sb, errB := p.b.Stat(p.pidB)
	if errA != nil || errB != nil {
		t.Fatalf("a daemon is gone: %v, %v", errA, errB)
	}
	return sa.CPU + sb.CPU
}

func traffic(t lab.T, o options, daemon string, r *results) {
	p := newPair(t, daemon)
	if o.measures("tcp") {
		before := p.cpu(t)
		s := p.b.Stream(lab.Stream{Remote: sink, Time: o.seconds})
		spent := p.cpu(t) - before
		r.add("tcp", daemon, s.Bits()/1e9)
		r.add("cpu", daemon, spent.Seconds()/(float64(s.Bytes)/1e9))
	}
	if o.measures("udp") {
		small(t, p, o, daemon, r)
	}
	if o.measures("ping") {
		r.add("ping", daemon, ping(t, p))
	}
}

// small sends datagrams of 64 bytes as fast as two senders can.
func small(t lab.T, p pair, o options, daemon string, r *results) {
	const port = 4000
	id := p.a.Count(port)
	before := p.cpu(t)
	start := time.Now()
	p.b.Blast(lab.Blast{Remote: netip.AddrPortFrom(sink.Addr(), port), Size: 64, Time: o.seconds, Senders: 1})
	took := time.Since(start)
	spent := p.cpu(t) - before
	n := p.a.Counted(id)
	if n == 0 {
		t.Fatalf("no datagram arrived")
	}
	r.add("pps", daemon, float64(n)/took.Seconds()/1e3)
	r.add("cpupp", daemon, spent.Seconds()/float64(n)*1e6)
}

var average = regexp.MustCompile(`= [0-9.]+/([0-9.]+)/`)

func ping(t lab.T, p pair) float64 {
	out := p.b.Must("ping -n -q -c 100 -i 0.01 %s", lab.InnerA4)
	m := average.FindStringSubmatch(out)
	if m == nil {
		t.Fatalf("ping said:\n%s", out)
	}
	ms, _ := strconv.ParseFloat(m[1], 64)
	return ms
}

// idlePeers is how many peers the figure of memory has.
const idlePeers = 10_000

// memory is what a daemon holds with many configured peers that say nothing.
func memory(t lab.T, daemon string, r *results) {
	h := lab.NewHost(t, "a")
	h.Tunnel(lab.Settings{Daemon: daemon, Port: 1234})
	var conf strings.Builder
	for i := range idlePeers {
		var key [32]byte
		rand.Read(key[:])
		fmt.Fprintf(&conf, "[Peer]\nPublicKey = %s\nAllowedIPs = 10.%d.%d.0/32, fd00::%x/128\nEndpoint = 192.0.2.1:%d\n",
			base64.StdEncoding.EncodeToString(key[:]), i>>8, i&255, i, 1000+i)
	}
	h.Write("/etc/wireguard/wg0.conf", conf.String())
	h.Must("wg addconf wg0 /etc/wireguard/wg0.conf")
	time.Sleep(5 * time.Second)
	s, err := h.Stat(only(t, h, daemon))
	if err != nil {
		t.Fatalf("%v", err)
	}
	r.add("memory", daemon, float64(s.Resident)*1024/1e6)
}
