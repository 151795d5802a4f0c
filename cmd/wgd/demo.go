package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"time"

	"wgd/conf"
	"wgd/internal/cli"
	"wgd/internal/cli/show"
	"wgd/key"
	"wgd/netstack"
	"wgd/wg"
)

const (
	demoPings   = 5
	demoTimeout = 10 * time.Second // for steps that should take milliseconds
	demoPort    = 5201
)

// demoTime is how long the stream lasts. Tests make it shorter.
var demoTime = 3 * time.Second

// runDemo shows a tunnel between two peers in this process, from keys to
// packets. It is a real tunnel, except that its interfaces are not the
// kernel's.
func runDemo(c *cli.Call) error {
	d := &demo{Call: c}
	defer d.close()
	for _, step := range []func() error{d.open, d.introduce, d.ping, d.transfer, d.show} {
		if err := step(); err != nil {
			return err
		}
	}
	d.printf("\nThat was a WireGuard tunnel. For one between hosts, see wgd(8) and the README.\n")
	return nil
}

// A demo is the two peers and the output.
type demo struct {
	*cli.Call
	a, b demoPeer
}

// A demoPeer is one end: its key, a TCP/IP stack, and the tunnel below it.
type demoPeer struct {
	name     string
	inner    []netip.Addr // IPv4, IPv6
	private  key.Private
	stack    *netstack.Stack
	tunnel   *wg.Interface
	endpoint netip.AddrPort
}

func (d *demo) printf(format string, args ...any) { fmt.Fprintf(d.Stdout, format, args...) }

// open creates both ends, which do not have each other as peers yet.
func (d *demo) open() error {
	d.printf("wgd demo: a tunnel between two peers, A and B, in this process; no root, no TUN device.\n\n")
	d.printf("   A  10.2.0.1   fd00:2::1                            B  10.2.0.42  fd00:2::42\n" +
		"   [TCP/IP stack]--[wg0]==== UDP over loopback ====[wg0]--[TCP/IP stack]\n\n")
	d.a = demoPeer{name: "A", inner: addresses("10.2.0.1", "fd00:2::1")}
	d.b = demoPeer{name: "B", inner: addresses("10.2.0.42", "fd00:2::42")}
	for _, p := range []*demoPeer{&d.a, &d.b} {
		if err := p.open(slog.New(slog.NewTextHandler(d.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))); err != nil {
			return fmt.Errorf("peer %s: %w", p.name, err)
		}
		d.printf("1. %s made its keys (public: %s) and listens on UDP %v\n", p.name, p.private.Public(), p.endpoint)
	}
	return nil
}

func addresses(list ...string) (a []netip.Addr) {
	for _, s := range list {
		a = append(a, netip.MustParseAddr(s))
	}
	return a
}

func (p *demoPeer) open(log *slog.Logger) (err error) {
	if p.private, err = key.GeneratePrivate(rand.Reader); err != nil {
		return err
	}
	var prefixes []netip.Prefix
	for _, a := range p.inner {
		prefixes = append(prefixes, netip.PrefixFrom(a, a.BitLen()))
	}
	if p.stack, err = netstack.New(netstack.Options{Name: "wg0", Addresses: prefixes}); err != nil {
		return err
	}
	if p.tunnel, err = wg.Open(wg.Options{Name: "wg0", Device: p.stack, Log: log}); err != nil {
		return err
	}
	if err = p.tunnel.Apply(conf.Change{PrivateKey: &p.private}); err != nil {
		return err
	}
	p.endpoint = netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), p.tunnel.Status().ListenPort)
	return nil
}

// introduce adds each end as a peer of the other. Only B has the endpoint of A, as a
// roaming client has that of its server.
func (d *demo) introduce() error {
	preshared, err := key.GeneratePreshared(rand.Reader)
	if err != nil {
		return err
	}
	if err := d.a.tunnel.Apply(asPeer(&d.b, &preshared, nil)); err != nil {
		return err
	}
	if err := d.b.tunnel.Apply(asPeer(&d.a, &preshared, &d.a.endpoint)); err != nil {
		return err
	}
	d.printf("2. each has the other as its peer: public key, a preshared key, the inner addresses it may use; B knows A's endpoint\n")
	return nil
}

func asPeer(p *demoPeer, preshared *key.Preshared, endpoint *netip.AddrPort) conf.Change {
	change := conf.PeerChange{PublicKey: p.private.Public(), Name: &p.name, PresharedKey: preshared, Endpoint: endpoint}
	for _, a := range p.inner {
		change.AllowedIPs = append(change.AllowedIPs, conf.AllowedIPChange{Prefix: netip.PrefixFrom(a, a.BitLen())})
	}
	return conf.Change{Peers: []conf.PeerChange{change}}
}

// ping sends a first packet, which causes the handshake, and some more.
func (d *demo) ping() error {
	ctx, cancel := context.WithTimeout(context.Background(), demoTimeout)
	defer cancel()
	took, err := d.b.stack.Ping(ctx, d.a.inner[0])
	if err != nil {
		return fmt.Errorf("the first packet did not come back within %v: %w: is UDP over 127.0.0.1 blocked here?", demoTimeout, err)
	}
	d.printf("3. B pings A: the first packet waits for the handshake, and is back after %s\n", milliseconds(took))
	for _, to := range d.a.inner {
		for i := range demoPings {
			if took, err = d.b.stack.Ping(ctx, to); err != nil {
				return err
			}
			d.printf("   %d bytes from %v: seq=%d time=%s\n", 64, to, i, milliseconds(took))
		}
	}
	return nil
}

func milliseconds(d time.Duration) string {
	return fmt.Sprintf("%.3f ms", float64(d)/float64(time.Millisecond))
}

// transfer sends a TCP stream from B to A for some seconds.
func (d *demo) transfer() error {
	at := netip.AddrPortFrom(d.a.inner[0], demoPort).String()
	listener, err := d.a.stack.Listen("tcp", at)
	if err != nil {
		return err
	}
	defer listener.Close()
	m := newMeter(d.Call)
	received := make(chan struct{})
	go func() {
		defer close(received)
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		io.Copy(m, conn)
	}()
	ctx, cancel := context.WithTimeout(context.Background(), demoTimeout)
	defer cancel()
	conn, err := d.b.stack.DialContext(ctx, "tcp", at)
	if err != nil {
		return err
	}
	d.printf("4. B sends a TCP stream to A for %v\n", demoTime)
	stop := m.start()
	conn.SetDeadline(time.Now().Add(demoTime))
	block := make([]byte, 128<<10)
	for err == nil {
		_, err = conn.Write(block)
	}
	conn.Close()
	select {
	case <-received: // also the data that was in transit
	case <-ctx.Done():
	}
	stop()
	d.printf("   %s\n", m.total())
	return nil
}

// show prints both ends as wgconfig does.
func (d *demo) show() error {
	for _, p := range []*demoPeer{&d.a, &d.b} {
		status := p.tunnel.Status()
		d.printf("5. at %s, \"wgconfig wg0 show all\" would print:\n\n", p.name)
		show.Interface(d.Stdout, &status)
		d.printf("\n")
	}
	return nil
}

func (d *demo) close() {
	for _, p := range []*demoPeer{&d.a, &d.b} {
		if p.tunnel != nil {
			p.tunnel.Close()
		}
		if p.stack != nil {
			p.stack.Close()
		}
	}
}
