package main

import (
	"crypto/ecdh"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"time"

	"wgd/test/lab"
)

// A pair is two hosts with a wire and a tunnel between them. Both run the same
// program.
type pair struct {
	daemon   string
	a, b     *lab.Host
	da, db   *lab.Daemon
	ka, kb   keys
	ipv6     bool // inside and outside
	backward bool // a and b have exchanged their roles
}

const (
	inner4A, inner4B = "10.2.0.1", "10.2.0.2"
	inner6A, inner6B = "fd00:2::1", "fd00:2::2"
	portA            = 1234 // only b is configured with an endpoint
)

func newPair(t lab.T, program string, nice int) *pair {
	p := &pair{daemon: program, ka: newKey(), kb: newKey()}
	p.a, p.b = lab.Pair(t)
	p.da, p.db = startDaemon(p.a, program, nice), startDaemon(p.b, program, nice)
	p.da.Set("private_key="+p.ka.private, fmt.Sprint("listen_port=", portA),
		"public_key="+p.kb.public, "allowed_ip="+inner4B+"/32", "allowed_ip="+inner6B+"/128")
	p.db.Set("private_key="+p.kb.private,
		"public_key="+p.ka.public, "allowed_ip="+inner4A+"/32", "allowed_ip="+inner6A+"/128")
	for _, x := range []struct {
		h      *lab.Host
		v4, v6 string
	}{{p.a, inner4A, inner6A}, {p.b, inner4B, inner6B}} {
		x.h.Must("ip addr add %s/24 dev wg0 && ip addr add %s/64 dev wg0 && ip link set wg0 mtu 1420 up", x.v4, x.v6)
	}
	p.setFamily(false)
	return p
}

// setFamily chooses the address family, inside and outside, and waits until the
// tunnel works.
func (p *pair) setFamily(ipv6 bool) {
	p.ipv6 = ipv6
	endpoint := fmt.Sprintf("192.0.2.1:%d", portA)
	if ipv6 {
		endpoint = fmt.Sprintf("[fd01::1]:%d", portA)
	}
	p.db.Set("public_key="+p.ka.public, "update_only=true", "endpoint="+endpoint)
	to := inner4A
	if ipv6 {
		to = inner6A
	}
	p.db.Host.PingWithin(10*time.Second, to)
}

// exchange exchanges the roles of a and b.
func (p *pair) exchange() {
	p.a, p.b = p.b, p.a
	p.backward = !p.backward
}

// innerA returns the address of a inside the tunnel.
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

// cpu returns the processor time that both daemons have used.
func (p *pair) cpu() time.Duration { return p.da.Stat().CPU + p.db.Stat().CPU }

// startDaemon starts a daemon, and sets the nice value of its session.
func startDaemon(h *lab.Host, program string, nice int) *lab.Daemon {
	d := h.StartDaemon(program)
	weighSession(h, d.PID, nice)
	return d
}

type keys struct{ private, public string } // 64 hex digits each

func newKey() keys {
	k, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		panic(err) // the system has no random numbers
	}
	return keys{hex.EncodeToString(k.Bytes()), hex.EncodeToString(k.PublicKey().Bytes())}
}
