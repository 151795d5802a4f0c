package fleet

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"wgd/cmd/wgd-peers/serve"
	"wgd/test/lab"
	"wgd/test/load"
)

const (
	gateways  = 3
	service   = "192.0.2.100" // the address of all gateways
	port      = 51820
	beyond    = "10.99.0.1" // of the server, behind the gateways
	goClients = 2           // of wireguard-go
)

// A fleet is gateways with one private key and one outer address, each with its daemon and
// wgd-peers serve; peers, in front of a router that spreads them over the gateways by
// ECMP; and a server behind the gateways, which answers through the gateway from which it
// heard a flow last.
type fleet struct {
	t                     *testing.T
	etcd                  *cluster
	router, linux, server *lab.Host
	gateways              [gateways]*lab.Host
	tunnels               [gateways]*lab.Tunnel
	goHosts               [goClients]*lab.Host
	goKeys                [goClients]string // base64
	peers                 *load.Peers
	publics               []string       // of peers, in hexadecimal digits
	number                map[string]int // of a peer of the clients, by its public key in base64
	traffic, flows        *load.Worker
	theirs, theirTCP      [goClients]*load.Worker
}

// newFleet starts a fleet whose store has a number of peers, and the hosts with wireguard-go.
func newFleet(t *testing.T, peers int) *fleet {
	t.Helper()
	f := &fleet{t: t, number: map[string]int{}}
	management := lab.Switch(t, "mgmt")
	f.etcd = newCluster(t, management)
	f.router, f.linux, f.server = lab.NewHost(t, "r").Router(), lab.NewHost(t, "c"), lab.NewHost(t, "s")
	lab.Link(f.linux, "eth0", []string{"192.0.3.2/24"}, f.router, "c", []string{"192.0.3.1/24"})
	f.linux.Must("ip route add default via 192.0.3.1")
	f.router.Must("ip route add 198.18.0.0/16 via 192.0.3.2")
	f.makeServer()
	for i := range gateways {
		f.makeGateway(i, management)
	}
	load.PrepareClients(f.linux, beyond)
	f.peers = &load.Peers{Seed: 11, Peers: peers, Daemon: hexOf(t, f.tunnels[0].Public)}
	f.publics = f.peers.Publics()
	for i := range goClients {
		f.makeGoClient(i)
	}
	f.fillStore()
	for i := range gateways {
		f.serve(i)
	}
	f.spread(0, 1, 2)
	return f
}

func (f *fleet) makeServer() {
	f.server.Must("ip addr add " + beyond + "/32 dev lo && nft add table ip back && " +
		"nft 'add chain ip back in { type filter hook prerouting priority mangle; }' && " +
		"nft 'add chain ip back out { type route hook output priority mangle; }' && " +
		"nft add rule ip back out meta mark set ct mark")
	f.server.Echo()
	load.Start(f.server, load.TCPEcho, load.Job{})
}

// makeGateway makes a gateway, without wgd-peers serve.
func (f *fleet) makeGateway(i int, management *lab.Host) {
	f.t.Helper()
	name, n := fmt.Sprintf("g%d", i+1), i+1
	g := lab.NewHost(f.t, name).Router()
	f.gateways[i] = g
	g.Plug(management, "mgmt", fmt.Sprintf("10.8.0.%d/24", 10+n))
	lab.Link(g, "outer", []string{fmt.Sprintf("10.9.%d.1/24", n)}, f.router, name, []string{fmt.Sprintf("10.9.%d.254/24", n)})
	lab.Link(g, "inner", []string{fmt.Sprintf("10.7.%d.1/24", n)}, f.server, name, []string{fmt.Sprintf("10.7.%d.2/24", n)})
	g.Must("ip addr add %s/32 dev lo && ip route add default via 10.9.%d.254 && ip route add %s via 10.7.%d.2", service, n, beyond, n)
	f.server.Must("ip route replace 10.64.0.0/16 via 10.7.%[1]d.1 src %[2]s && ip route add 10.64.0.0/16 via 10.7.%[1]d.1 table 10%[1]d && "+
		"ip rule add fwmark %[1]d table 10%[1]d && nft add rule ip back in iifname g%[1]d ct mark set %[1]d", n, beyond)
	for _, h := range []*lab.Host{g, f.server} {
		h.Must("for i in /proc/sys/net/ipv4/conf/*/rp_filter; do echo 0 > $i; done")
	}
	f.tunnels[i] = g.Tunnel(lab.Settings{Port: port, Addresses: []string{"10.64.255.1/16"}})
	if i > 0 {
		g.Write("/etc/wg/wg0", f.gateways[0].Must("cat /etc/wg/wg0"))
		g.Must("wgconfig wg0 set private-key /etc/wg/wg0")
	}
}

// makeGoClient makes a host with wireguard-go.
func (f *fleet) makeGoClient(i int) {
	f.t.Helper()
	name := fmt.Sprintf("w%d", i+1)
	h := lab.NewHost(f.t, name)
	lab.Link(h, "eth0", []string{fmt.Sprintf("192.0.%d.2/24", 10+i)}, f.router, name, []string{fmt.Sprintf("192.0.%d.1/24", 10+i)})
	h.Must("ip route add default via 192.0.%d.1", 10+i)
	tunnel := h.Tunnel(lab.Settings{Daemon: lab.Theirs, Addresses: []string{goInner(i) + "/32"}})
	tunnel.AddKey(f.tunnels[0].Public, lab.Peer{AllowedIPs: beyond + "/32", Endpoint: fmt.Sprintf("%s:%d", service, port)})
	h.Must("ip route add %s dev wg0", beyond)
	f.goHosts[i], f.goKeys[i] = h, tunnel.Public
}

func goInner(i int) string { return fmt.Sprintf("10.64.200.%d", i+1) }

// fillStore adds all peers.
func (f *fleet) fillStore() {
	f.t.Helper()
	var text strings.Builder
	text.WriteString("name,public_key,allowed_ips\n")
	for i, public := range f.publics {
		b, _ := hex.DecodeString(public)
		base64 := base64.StdEncoding.EncodeToString(b)
		f.number[base64] = i
		fmt.Fprintf(&text, "peer%d,%s,%s/32\n", i, base64, load.ClientInner(i))
	}
	for i, public := range f.goKeys {
		fmt.Fprintf(&text, "client%d,%s,%s/32\n", i, public, goInner(i))
	}
	f.gateways[0].Write("/etc/peers.csv", text.String())
	f.peersCommand(0, "import /etc/peers.csv")
}

// peersCommand runs wgd-peers on a gateway.
func (f *fleet) peersCommand(gateway int, args string) string {
	f.t.Helper()
	return f.gateways[gateway].Must("wgd-peers %s --store=%s", args, f.etcd.address())
}

// serve starts wgd-peers serve on a gateway, and waits until it works.
func (f *fleet) serve(gateway int) {
	f.t.Helper()
	g := f.gateways[gateway]
	g.Must("setsid wgd-peers serve wg0 --store=%s >>/run/wgd.log 2>&1 </dev/null &", f.etcd.address())
	lab.Until(f.t, 30*time.Second, "wgd-peers serve works", func() (bool, string) {
		r := f.report(gateway)
		return r != nil && r.Connected != nil, g.Run("tail -n 5 /run/wgd.log").Out
	})
}

// report returns what wgd-peers serve on a gateway says; nil: it does not answer. It comes
// from its socket, because wgd-peers status also reads the whole store.
func (f *fleet) report(gateway int) *serve.Report {
	f.t.Helper()
	var r serve.Report
	if !f.ask(gateway, "/report", &r) {
		return nil
	}
	return &r
}

// held returns which peers of the clients a gateway has.
func (f *fleet) held(gateway int) map[int]bool {
	f.t.Helper()
	var list []serve.HeldPeer
	f.ask(gateway, "/peers", &list)
	held := map[int]bool{}
	for _, p := range list {
		if n, ok := f.number[p.PublicKey]; ok {
			held[n] = true
		}
	}
	return held
}

// spread has the router send packets to some of the gateways.
func (f *fleet) spread(gateways ...int) {
	f.t.Helper()
	line := "ip route replace " + service
	for _, g := range gateways {
		line += fmt.Sprintf(" nexthop via 10.9.%d.1", g+1)
	}
	f.router.Must("%s", line)
}

// startTraffic starts the traffic of all peers, and waits until everybody is answered.
func (f *fleet) startTraffic(rate float64, flows int) {
	f.t.Helper()
	remote := fmt.Sprintf("%s:%d", service, port)
	f.traffic = load.Start(f.linux, load.Clients, load.Job{Remote: remote, Inner: beyond, PacketRate: rate, Peers: f.peers})
	f.awaitTraffic()
	if flows > 0 {
		f.flows = load.Start(f.linux, load.TCPFlows, load.Job{Remote: beyond, Count: flows, PacketRate: 4, Peers: f.peers})
	}
}

// awaitTraffic waits until all peers of the clients are answered.
func (f *fleet) awaitTraffic() {
	f.t.Helper()
	f.traffic.Ask()
	begin := load.Now() + int64(500*time.Millisecond) // answers through another gateway are there before
	time.Sleep(time.Second)
	lab.Until(f.t, 40*time.Second, "all peers are answered", func() (bool, string) {
		silent := silentAt(f.traffic.Ask().Silences, begin)
		return silent == 0, fmt.Sprintf("%d are silent", silent)
	})
}

// silentAt counts who has heard nothing since a time.
func silentAt(silences []load.Silence, since int64) (n int) {
	for _, s := range silences {
		if s.To == 0 && s.From < since {
			n++
		}
	}
	return n
}

func hexOf(t *testing.T, text string) string {
	t.Helper()
	b, err := base64.StdEncoding.DecodeString(strings.TrimSpace(text))
	if err != nil {
		t.Fatal(err)
	}
	return hex.EncodeToString(b)
}

// ask requests JSON on the socket of wgd-peers serve, and reports whether it answers.
func (f *fleet) ask(gateway int, path string, v any) bool {
	f.t.Helper()
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", f.gateways[gateway].Path("/run/wgd-peers/wg0.sock"))
	}}
	defer transport.CloseIdleConnections()
	response, err := (&http.Client{Transport: transport, Timeout: 10 * time.Second}).Get("http://wgd-peers" + path)
	if err != nil {
		return false
	}
	defer response.Body.Close()
	return json.NewDecoder(response.Body).Decode(v) == nil
}
