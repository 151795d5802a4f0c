package main

import (
	"bufio"
	"crypto/ecdh"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"net"
	"strings"
	"time"

	"wgd/test/lab"
)

// pair is two hosts, a wire, and a tunnel of one daemon between them.
type pair struct {
	daemon   string
	a, b     *lab.Host
	da, db   *daemon
	ka, kb   keys
	ipv6     bool // inside and outside
	backward bool // a and b have exchanged their parts
}

const (
	inner4A, inner4B = "10.2.0.1", "10.2.0.2"
	inner6A, inner6B = "fd00:2::1", "fd00:2::2"
	portA            = 1234 // b is the one that knows an endpoint
)

func newPair(t lab.T, program string, nice int) *pair {
	p := &pair{daemon: program, ka: newKey(), kb: newKey()}
	p.a, p.b = lab.Pair(t)
	p.da, p.db = startDaemon(t, p.a, program, nice), startDaemon(t, p.b, program, nice)
	p.da.configure(t, []string{"private_key=" + p.ka.private, fmt.Sprint("listen_port=", portA),
		"public_key=" + p.kb.public, "allowed_ip=" + inner4B + "/32", "allowed_ip=" + inner6B + "/128"})
	p.db.configure(t, []string{"private_key=" + p.kb.private,
		"public_key=" + p.ka.public, "allowed_ip=" + inner4A + "/32", "allowed_ip=" + inner6A + "/128"})
	for _, x := range []struct {
		h      *lab.Host
		v4, v6 string
	}{{p.a, inner4A, inner6A}, {p.b, inner4B, inner6B}} {
		x.h.Must("ip addr add %s/24 dev wg0 && ip addr add %s/64 dev wg0 && ip link set wg0 mtu 1420 up", x.v4, x.v6)
	}
	p.setFamily(t, false)
	return p
}

// setFamily chooses the address family, inside and outside, and waits until it works.
func (p *pair) setFamily(t lab.T, ipv6 bool) {
	p.ipv6 = ipv6
	endpoint := fmt.Sprintf("192.0.2.1:%d", portA)
	if ipv6 {
		endpoint = fmt.Sprintf("[fd01::1]:%d", portA)
	}
	p.db.configure(t, []string{"public_key=" + p.ka.public, "update_only=true", "endpoint=" + endpoint})
	to := inner4A
	if ipv6 {
		to = inner6A
	}
	p.db.host.PingWithin(10*time.Second, to)
}

// exchange lets a do what b did.
func (p *pair) exchange() {
	p.a, p.b = p.b, p.a
	p.backward = !p.backward
}

// innerA is the address of a inside the tunnel.
func (p *pair) innerA() string {
	list := [2]string{inner4A, inner4B}
	if p.ipv6 {
		list = [2]string{inner6A, inner6B}
	}
	if p.backward {
		return list[1]
	}
	return list[0]
}

// cpu is the processor time that both daemons have used.
func (p *pair) cpu(t lab.T) time.Duration { return p.da.stat(t).CPU + p.db.stat(t).CPU }

// A daemon serves wg0 of a host.
type daemon struct {
	host *lab.Host
	pid  int
}

func startDaemon(t lab.T, h *lab.Host, program string, nice int) *daemon {
	// A daemon that logs keeps its parent's output open, so that is a file.
	h.Must("LOG_LEVEL=error %s wg0 >/run/daemon.log 2>&1 || { cat /run/daemon.log >&2; false; }", program)
	pids := h.PIDs(program)
	if len(pids) != 1 {
		t.Fatalf("host %s has %d processes named %s, not 1", h.Name, len(pids), program)
	}
	weighSession(h, pids[0], nice)
	return &daemon{h, pids[0]}
}

func (d *daemon) stat(t lab.T) lab.Stat {
	s, err := d.host.Stat(d.pid)
	if err != nil {
		t.Fatalf("host %s: the daemon is gone: %v", d.host.Name, err)
	}
	return s
}

// configure speaks the language that both daemons have, so that no other
// program is needed.
func (d *daemon) configure(t lab.T, lines []string) {
	// Not below /var/run: that is a link, which would lead to this machine's /run.
	conn, err := net.Dial("unix", d.host.Path("/run/wireguard/wg0.sock"))
	if err != nil {
		t.Fatalf("host %s: the daemon's socket: %v", d.host.Name, err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(time.Minute))
	fmt.Fprintf(conn, "set=1\n%s\n\n", strings.Join(lines, "\n"))
	answers := bufio.NewScanner(conn)
	for answers.Scan() && answers.Text() != "" {
		if strings.HasPrefix(answers.Text(), "errno=") {
			if answers.Text() != "errno=0" {
				t.Fatalf("host %s: the daemon refuses its configuration: %s", d.host.Name, answers.Text())
			}
			return
		}
	}
	t.Fatalf("host %s: the daemon does not answer: %v", d.host.Name, answers.Err())
}

type keys struct{ private, public string } // 64 hex digits each

func newKey() keys {
	k, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		panic(err) // the system has no random numbers
	}
	return keys{hex.EncodeToString(k.Bytes()), hex.EncodeToString(k.PublicKey().Bytes())}
}

// stage is what a lab wants of a test, for a program: its first failure ends the
// measurement as an error.
type stage struct {
	cleanups []func()
	soft     error
}

// failure is what Fatalf throws and bound catches.
type failure struct{ error }

func (s *stage) Helper()                           {}
func (s *stage) Name() string                      { return "bench" }
func (s *stage) Failed() bool                      { return s.soft != nil }
func (s *stage) Cleanup(f func())                  { s.cleanups = append(s.cleanups, f) }
func (s *stage) Logf(string, ...any)               {}
func (s *stage) Errorf(format string, args ...any) { s.soft = fmt.Errorf(format, args...) }
func (s *stage) Fatalf(format string, args ...any) {
	s.Errorf(format, args...)
	panic(failure{s.soft})
}

// bound runs f on a stage and takes down what it built.
func bound(f func(lab.T)) (err error) {
	s := &stage{}
	defer func() {
		thrown := recover()
		for i := len(s.cleanups) - 1; i >= 0; i-- {
			s.cleanups[i]()
		}
		err = s.soft
		if _, ok := thrown.(failure); thrown != nil && !ok {
			panic(thrown)
		}
	}()
	f(s)
	return nil
}
