package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
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
	demoPings    = 5
	demoTimeout  = 10 * time.Second // for steps that should take milliseconds
	demoPort     = 5201
	demoPageSize = 1 << 10 // the limit of a page that is printed
)

// demoTime is how long the stream lasts. Tests make it shorter.
var demoTime = 3 * time.Second

// runDemo shows a tunnel between two peers in this process, from keys to
// packets. It is a real tunnel, except that its interfaces are not the
// kernel's.
func runDemo(c *cli.Call) error {
	d := &demo{Call: c, bold: coloured(c.Stdout)}
	defer d.close()
	for _, step := range []func() error{d.open, d.introduce, d.handshake, d.ping, d.browse, d.transfer, d.show} {
		if err := step(); err != nil {
			return err
		}
	}
	d.next()
	return nil
}

// next says how to have a tunnel between hosts.
func (d *demo) next() {
	d.printf("\nThat was a whole tunnel. To have one between hosts, see wgd.conf(5), and run\n" +
		"   wgd up wg0                              as root, with an interface\n")
	d.printf("   wgd proxy wg0 --socks5 127.0.0.1:1080   as any user, without one\n")
	d.printf("A Go program can have one in itself: see the library in the README.\n")
}

// A demo is the two peers and the output.
type demo struct {
	*cli.Call
	bold bool // headings are
	step int
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

// heading begins a step.
func (d *demo) heading(text string) {
	d.step++
	text = fmt.Sprintf("%d. %s", d.step, text)
	if d.bold {
		text = "\x1b[1m" + text + "\x1b[m"
	}
	d.printf("\n%s\n", text)
}

// open creates both ends, which do not have each other as peers yet.
func (d *demo) open() error {
	d.printf("wgd demo: a WireGuard tunnel between two peers, A and B, in this process.\n" +
		"It needs neither root nor a TUN device, and takes a few seconds.\n\n" +
		"   A  10.2.0.1  fd00:2::1                         B  10.2.0.42  fd00:2::42\n" +
		"   [TCP/IP stack]-[wg0]==== UDP over loopback ====[wg0]-[TCP/IP stack]\n")
	d.a = demoPeer{name: "A", inner: addresses("10.2.0.1", "fd00:2::1")}
	d.b = demoPeer{name: "B", inner: addresses("10.2.0.42", "fd00:2::42")}
	d.heading("Each makes a key pair, and listens on a UDP port")
	for _, p := range []*demoPeer{&d.a, &d.b} {
		if err := p.open(slog.New(slog.NewTextHandler(d.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))); err != nil {
			return fmt.Errorf("peer %s: %w", p.name, err)
		}
		d.printf("   %s  %s  %v\n", p.name, p.private.Public(), p.endpoint)
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
	d.heading("Each adds the other as its peer")
	d.printf("   Both know the other's public key, the addresses that it has in the tunnel,\n" +
		"   and a preshared key. B also knows the UDP port of A. A learns that of B.\n")
	return nil
}

func asPeer(p *demoPeer, preshared *key.Preshared, endpoint *netip.AddrPort) conf.Change {
	change := conf.PeerChange{PublicKey: p.private.Public(), Name: &p.name, PresharedKey: preshared, Endpoint: endpoint}
	for _, a := range p.inner {
		change.AllowedIPs = append(change.AllowedIPs, conf.AllowedIPChange{Prefix: netip.PrefixFrom(a, a.BitLen())})
	}
	return conf.Change{Peers: []conf.PeerChange{change}}
}

// handshake sends a first packet, which causes the handshake.
func (d *demo) handshake() error {
	d.heading("B pings A: the first packet causes the handshake")
	ctx, cancel := context.WithTimeout(context.Background(), demoTimeout)
	defer cancel()
	defer d.Progress("waiting for the handshake")()
	took, err := d.b.stack.Ping(ctx, d.a.inner[0])
	if err != nil {
		return fmt.Errorf("the first packet did not come back within %v: %w: is UDP over 127.0.0.1 blocked here?", demoTimeout, err)
	}
	d.printf("   It waits for the handshake, and is back after %s.\n", milliseconds(took))
	return nil
}

// ping measures the round trip when there is a session.
func (d *demo) ping() error {
	d.heading("More pings, through IPv4 and IPv6")
	ctx, cancel := context.WithTimeout(context.Background(), demoTimeout)
	defer cancel()
	defer d.Progress("waiting for the echoes")()
	for _, to := range d.a.inner {
		shortest, longest := time.Duration(0), time.Duration(0)
		for i := range demoPings {
			took, err := d.b.stack.Ping(ctx, to)
			if err != nil {
				return err
			}
			if i == 0 {
				shortest = took
			}
			shortest, longest = min(shortest, took), max(longest, took)
		}
		d.printf("   %-10v  %d pings, %d answers: %s to %s\n", to, demoPings, demoPings, milliseconds(shortest), milliseconds(longest))
	}
	return nil
}

func milliseconds(d time.Duration) string {
	return fmt.Sprintf("%.3f ms", float64(d)/float64(time.Millisecond))
}

// browse requests a page of each end from the other one.
func (d *demo) browse() error {
	d.heading("Each reads a web page of the other")
	for _, pair := range [][2]*demoPeer{{&d.b, &d.a}, {&d.a, &d.b}} {
		client, server := pair[0], pair[1]
		begun := time.Now()
		url, page, err := d.fetch(client, server)
		if err != nil {
			return fmt.Errorf("a page of %s: %w", server.name, err)
		}
		d.printf("   %s  GET %-17s  %q, after %s\n", client.name, url, page, milliseconds(time.Since(begun)))
	}
	return nil
}

// fetch offers a page at one end, and reads it at the other.
func (d *demo) fetch(client, server *demoPeer) (url, page string, err error) {
	listener, err := server.stack.Listen("tcp", netip.AddrPortFrom(server.inner[0], 80).String())
	if err != nil {
		return "", "", err
	}
	site := http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host, _, _ := net.SplitHostPort(r.RemoteAddr)
		fmt.Fprintf(w, "Hello %s, this is %s", host, server.name)
	})}
	served := make(chan error, 1)
	go func() { served <- site.Serve(listener) }()
	defer func() {
		site.Close()
		<-served
	}()
	defer d.Progress("waiting for the page")()
	transport := &http.Transport{DialContext: client.stack.DialContext}
	defer transport.CloseIdleConnections()
	url = "http://" + server.inner[0].String() + "/"
	response, err := (&http.Client{Transport: transport, Timeout: demoTimeout}).Get(url)
	if err != nil {
		return url, "", err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, demoPageSize))
	return url, string(text), err
}

// transfer sends a TCP stream from B to A for some seconds.
func (d *demo) transfer() error {
	at := netip.AddrPortFrom(d.a.inner[0], demoPort).String()
	listener, err := d.a.stack.Listen("tcp", at)
	if err != nil {
		return err
	}
	defer listener.Close()
	m := newMeter(d.Call, demoTime)
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
	d.heading(fmt.Sprintf("B sends a TCP stream to A for %.0f seconds", demoTime.Seconds()))
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
	d.printf("   %s\n   Both ends and both TCP stacks share this machine.\n", m.total())
	return nil
}

// show prints both ends as wgconfig does.
func (d *demo) show() error {
	for _, p := range []*demoPeer{&d.a, &d.b} {
		status := p.tunnel.Status()
		d.heading(`At ` + p.name + `, "wgconfig wg0" prints:`)
		show.Interface(d.Stdout, &status)
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
