package explain

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"wgd/conf"
	"wgd/key"
)

var now = time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)

func seconds(n int) time.Time { return now.Add(-time.Duration(n) * time.Second) }

// facts are those of an interface that works, with the peers B and C.
func facts() *Facts {
	return &Facts{Now: now, Names: []string{"B", "C"}, Status: &conf.Status{
		Name: "wg0", Up: true, MTU: 1420, ListenPort: 1234, PublicKey: key.Public{9},
		Peers: []conf.PeerStatus{
			{PublicKey: key.Public{1}, Name: "B", Endpoint: netip.MustParseAddrPort("192.0.2.1:7"),
				AllowedIPs: []netip.Prefix{netip.MustParsePrefix("10.2.0.1/32")}},
			{PublicKey: key.Public{2}, Name: "C", Endpoint: netip.MustParseAddrPort("192.0.2.2:7"), LastHandshake: seconds(5),
				AllowedIPs: []netip.Prefix{netip.MustParsePrefix("10.3.0.0/24")}},
		},
	}}
}

// sees returns an observation of 4 times in the last minute.
func sees(kind conf.ObservationKind, address string) conf.Observation {
	o := conf.Observation{Kind: kind, Count: 4, First: seconds(40), Last: seconds(10)}
	if a, err := netip.ParseAddr(address); err == nil {
		o.Address = netip.AddrPortFrom(a, 0)
	} else if address != "" {
		o.Address = netip.MustParseAddrPort(address)
	}
	return o
}

const endpoint = "192.0.2.1:7"

// Every cause of a peer has a sign by which it is recognized, and a sentence that has
// what was seen.
func TestPeerReasons(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(f *Facts, b *conf.PeerStatus)
		state  State
		cause  Cause // the first; "": none
		want   []string
	}{
		{"no endpoint", func(_ *Facts, b *conf.PeerStatus) { b.Endpoint = netip.AddrPort{} }, NeverUsed, NoEndpoint, []string{"no endpoint", "wgconfig wg0 set peer B --endpoint"}},
		{"name that does not resolve", func(_ *Facts, b *conf.PeerStatus) {
			b.Endpoint, b.EndpointName, b.EndpointFailure = netip.AddrPort{}, "b.example:7", "nobody knows b"
		}, NeverUsed, NameUnknown, []string{"b.example:7 does not resolve: nobody knows b", "no address to send to", "/etc/resolv.conf"}},
		{"name that does not resolve any more", func(_ *Facts, b *conf.PeerStatus) {
			b.EndpointName, b.EndpointFailure = "b.example:7", "nobody knows b"
			see(b, failed("EPERM"), sees(conf.NoAnswer, endpoint))
		}, Trying, Firewall, nil},
		{"name that does not resolve while the tunnel works", func(_ *Facts, b *conf.PeerStatus) {
			b.EndpointName, b.EndpointFailure, b.LastHandshake = "b.example:7", "nobody knows b", seconds(5)
		}, Works, "", nil},
		{"name that is being looked up", func(_ *Facts, b *conf.PeerStatus) {
			b.Endpoint, b.EndpointName = netip.AddrPort{}, "b.example:7"
		}, NeverUsed, NoEndpoint, []string{"b.example:7 is being looked up"}},
		{"no allowed IPs", func(_ *Facts, b *conf.PeerStatus) { b.AllowedIPs = nil }, NeverUsed, NoAllowedIPs, []string{"no allowed IPs"}},
		{"no traffic", func(*Facts, *conf.PeerStatus) {}, NeverUsed, NoTraffic, []string{"first packet", "--persistent-keepalive"}},
		{"routed elsewhere", func(f *Facts, b *conf.PeerStatus) {
			f.Host.RoutedTo = map[netip.Prefix]string{b.AllowedIPs[0]: "eth0"}
		}, NeverUsed, NotRouted, []string{"10.2.0.1/32", "routed to eth0"}},
		{"routed nowhere", func(f *Facts, b *conf.PeerStatus) {
			f.Host.RoutedTo = map[netip.Prefix]string{b.AllowedIPs[0]: ""}
		}, NeverUsed, NotRouted, []string{"routed to nowhere"}},
		{"routed here", func(f *Facts, b *conf.PeerStatus) {
			f.Host.RoutedTo = map[netip.Prefix]string{b.AllowedIPs[0]: "wg0"}
		}, NeverUsed, NoTraffic, nil},
		{"silence", func(_ *Facts, b *conf.PeerStatus) { see(b, sees(conf.NoAnswer, endpoint)) }, Trying, NoAnswer,
			[]string{"4 initiations since 11:59:20", "192.0.2.1:7", "run wgd explain at the peer", key.Public{9}.Base64()}},
		{"silence, with messages for another key", func(f *Facts, b *conf.PeerStatus) {
			see(b, sees(conf.NoAnswer, endpoint))
			f.Status.Observations = append(f.Status.Observations, sees(conf.BadMAC1, endpoint))
		}, Trying, NoAnswer, []string{"another public key than ours"}},
		{"firewall", func(_ *Facts, b *conf.PeerStatus) {
			see(b, sees(conf.NoAnswer, endpoint), failed("EPERM"))
		}, Trying, Firewall, []string{"own firewall", "192.0.2.1:7"}},
		{"no outer route", func(_ *Facts, b *conf.PeerStatus) { see(b, failed("ENETUNREACH")) }, Trying, NoOuterRoute, []string{"ENETUNREACH", "ip route get 192.0.2.1"}},
		{"no outer route, which is not about the network", func(f *Facts, b *conf.PeerStatus) {
			see(b, sees(conf.NoAnswer, endpoint), failed("EHOSTUNREACH"))
			f.Host.Unreachable = map[netip.AddrPort]string{b.Endpoint: "EHOSTUNREACH"}
			f.Status.FirewallMark = 7
		}, Trying, NoOuterRoute, []string{"EHOSTUNREACH", "ip route get 192.0.2.1 mark 0x7"}},
		{"prohibited", func(_ *Facts, b *conf.PeerStatus) { see(b, failed("EACCES")) }, Trying, Firewall, []string{"EACCES", "prohibits", "ip route get 192.0.2.1"}},
		{"a blackhole", func(_ *Facts, b *conf.PeerStatus) { see(b, failed("EINVAL")) }, Trying, SendError, []string{"EINVAL", "blackhole"}},
		{"another send error", func(_ *Facts, b *conf.PeerStatus) { see(b, failed("ENOBUFS")) }, Trying, SendError, []string{"ENOBUFS", "log at level verbose"}},
		{"an endpoint inside the tunnel", func(f *Facts, b *conf.PeerStatus) {
			f.Host.Inside = map[netip.Addr]bool{b.Endpoint.Addr(): true}
			b.LastHandshake, b.PathMTU = seconds(9), 0
		}, Works, EndpointInside, []string{"192.0.2.1 is itself routed into wg0", "ip route add 192.0.2.1/32 via"}},
		{"port unreachable", func(f *Facts, b *conf.PeerStatus) {
			see(b, sees(conf.NoAnswer, endpoint))
			f.Host.Unreachable = map[netip.AddrPort]string{b.Endpoint: "ECONNREFUSED"}
		}, Trying, Unreachable, []string{"nobody listens at 192.0.2.1:7", "4 initiations"}},
		{"host unreachable", func(f *Facts, b *conf.PeerStatus) {
			see(b, sees(conf.NoAnswer, endpoint))
			f.Host.Unreachable = map[netip.AddrPort]string{b.Endpoint: "EHOSTUNREACH"}
		}, Trying, Unreachable, []string{"192.0.2.1:7 cannot be reached, as the network reports (EHOSTUNREACH"}},
		{"preshared key, initiator", func(_ *Facts, b *conf.PeerStatus) {
			see(b, sees(conf.NoAnswer, endpoint), sees(conf.ResponseRefused, endpoint))
		}, Trying, PresharedKey, []string{"preshared keys"}},
		{"responder without confirmation", func(_ *Facts, b *conf.PeerStatus) { see(b, sees(conf.NotConfirmed, endpoint)) }, Trying, NotConfirmed, []string{"4 responses", "preshared keys"}},
		{"clock", func(_ *Facts, b *conf.PeerStatus) { see(b, sees(conf.TimestampReplayed, endpoint)) }, Trying, ClockBack, []string{"clock of the peer went back"}},
		{"cookies", func(_ *Facts, b *conf.PeerStatus) {
			see(b, sees(conf.NoAnswer, endpoint), sees(conf.CookieReceived, ""))
		}, Trying, CookieLoop, []string{"cookie", "NAT"}},
		{"inner source of nobody", func(_ *Facts, b *conf.PeerStatus) {
			b.LastHandshake = seconds(9)
			see(b, sees(conf.SourceRefused, "10.9.0.1"))
		}, Works, SourceRefused, []string{"10.9.0.1", "add 10.9.0.1/32", "4 so far"}},
		{"inner source of another", func(_ *Facts, b *conf.PeerStatus) {
			b.LastHandshake = seconds(9)
			see(b, sees(conf.SourceRefused, "10.3.0.7"))
		}, Works, SourceOfAnother, []string{"10.3.0.7", "belongs to peer C"}},
		{"inner source that it has meanwhile", func(_ *Facts, b *conf.PeerStatus) {
			b.LastHandshake = seconds(9)
			see(b, sees(conf.SourceRefused, "10.2.0.1"))
		}, Works, "", nil},
		{"allowed IP taken", func(f *Facts, b *conf.PeerStatus) {
			b.AllowedIPs = nil
			f.Status.Peers[1].AllowedIPs = append(f.Status.Peers[1].AllowedIPs, netip.MustParsePrefix("10.2.0.1/32"))
			see(b, conf.Observation{Kind: conf.AllowedIPTaken, Count: 1, First: seconds(60), Last: seconds(60), Key: key.Public{2}, Detail: "10.2.0.1/32"})
		}, NeverUsed, AllowedIPsTaken, []string{"10.2.0.1/32", "peer C"}},
		{"MTU", func(f *Facts, b *conf.PeerStatus) {
			b.LastHandshake = seconds(9)
			f.Host.PathMTU = map[netip.Addr]int{b.Endpoint.Addr(): 1400}
		}, Works, MTUTooLarge, []string{"packets of 1400 bytes", "wg-ifconfig wg0 mtu 1340"}},
		{"MTU that the daemon knows", func(_ *Facts, b *conf.PeerStatus) { b.LastHandshake, b.PathMTU = seconds(9), 1400 }, Works, MTUTooLarge, []string{"packets of 1400 bytes"}},
		{"MTU that fits", func(f *Facts, b *conf.PeerStatus) {
			b.LastHandshake = seconds(9)
			f.Host.PathMTU = map[netip.Addr]int{b.Endpoint.Addr(): 1480}
		}, Works, "", nil},
		{"MTU before anything was sent", func(_ *Facts, b *conf.PeerStatus) { b.PathMTU = 1400 }, NeverUsed, NoTraffic, nil},
		{"a handshake in progress", func(_ *Facts, b *conf.PeerStatus) {
			see(b, conf.Observation{Kind: conf.NoAnswer, Count: 1, First: seconds(1), Last: seconds(1)})
			b.LastHandshake = seconds(150)
		}, Works, "", nil},
		{"long idle", func(_ *Facts, b *conf.PeerStatus) { b.LastHandshake = seconds(7200) }, Idle, "", nil},
		{"down", func(f *Facts, b *conf.PeerStatus) {
			f.Status.Up = false
			see(b, sees(conf.NoAnswer, endpoint))
		}, Down, "", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := facts()
			c.change(f, &f.Status.Peers[0])
			p := f.Peer(0)
			if p.Name != "B" || p.State != c.state || p.Text == "" {
				t.Errorf("got %q, state %s, %q, want the state %s", p.Name, p.State, p.Text, c.state)
			}
			check(t, p.Reasons, c.cause, c.want)
		})
	}
}

// A name that does not resolve any more is a reason beside that of the handshakes.
func TestNameBesideSilence(t *testing.T) {
	f := facts()
	b := &f.Status.Peers[0]
	b.EndpointName, b.EndpointFailure = "b.example:7", "nobody knows b"
	see(b, sees(conf.NoAnswer, endpoint))
	reasons := f.Peer(0).Reasons
	check(t, reasons, NoAnswer, nil)
	check(t, reasons[1:], NameUnknown, []string{"nobody knows b", "last address, 192.0.2.1, is still tried"})
}

func see(p *conf.PeerStatus, list ...conf.Observation) {
	p.Observations = append(p.Observations, list...)
}

func failed(name string) conf.Observation {
	o := sees(conf.SendFailed, endpoint)
	o.Detail = name
	return o
}

// A peer that begins needs no endpoint here, and each other cause is the only one.
func TestOneReason(t *testing.T) {
	for _, change := range []func(f *Facts, b *conf.PeerStatus){
		func(_ *Facts, b *conf.PeerStatus) {
			b.Endpoint = netip.AddrPort{}
			see(b, sees(conf.TimestampReplayed, endpoint))
		},
		func(f *Facts, b *conf.PeerStatus) {
			see(b, sees(conf.NoAnswer, endpoint), failed("ENETUNREACH"))
			f.Host.Unreachable = map[netip.AddrPort]string{b.Endpoint: "ENETUNREACH"}
		},
		func(_ *Facts, b *conf.PeerStatus) { b.PathMTU = 1400 },
		func(_ *Facts, b *conf.PeerStatus) {
			b.Endpoint, b.EndpointName, b.EndpointFailure = netip.AddrPort{}, "b.example:7", "nobody knows b"
		},
		func(f *Facts, b *conf.PeerStatus) {
			see(b, sees(conf.NoAnswer, endpoint))
			f.Host.Inside = map[netip.Addr]bool{b.Endpoint.Addr(): true}
		},
	} {
		f := facts()
		change(f, &f.Status.Peers[0])
		if reasons := f.Peer(0).Reasons; len(reasons) != 1 {
			t.Errorf("reasons %+v, want one", reasons)
		}
	}
}

// check checks the first reason, and that it has all texts.
func check(t *testing.T, reasons []Reason, cause Cause, want []string) {
	t.Helper()
	if cause == "" {
		if len(reasons) != 0 {
			t.Errorf("reasons %+v, want none", reasons)
		}
		return
	}
	if len(reasons) == 0 || reasons[0].Cause != cause {
		t.Fatalf("reasons %+v, want %s first", reasons, cause)
	}
	if reasons[0].Text == "" || reasons[0].Remedy == "" {
		t.Errorf("a reason without text or remedy: %+v", reasons[0])
	}
	for _, text := range want {
		if !strings.Contains(reasons[0].Text+"\n"+reasons[0].Remedy, text) {
			t.Errorf("%+v does not contain %q", reasons[0], text)
		}
	}
}

func TestInterfaceReasons(t *testing.T) {
	unknown := sees(conf.UnknownKey, endpoint)
	unknown.Key = key.Public{7}
	for _, c := range []struct {
		name   string
		change func(f *Facts)
		cause  Cause
		want   []string
	}{
		{"nothing", func(*Facts) {}, "", nil},
		{"down", func(f *Facts) { f.Status.Up = false }, InterfaceDown, []string{"wg-ifconfig wg0 up"}},
		{"port", func(f *Facts) { f.Status.Fault = "UDP port 1234 is taken by another program: see" }, PortTaken, []string{"UDP port 1234", "ss -lunp"}},
		{"fault", func(f *Facts) { f.Status.Fault = "no sockets" }, InterfaceFailure, []string{"no sockets"}},
		{"no private key", func(f *Facts) { f.Status.PublicKey = key.Public{} }, NoPrivateKey, nil},
		{"unknown key", func(f *Facts) { f.Status.Observations = []conf.Observation{unknown} }, UnknownKey,
			[]string{unknown.Key.Base64(), "from 192.0.2.1:7", "address of peer B"}},
		{"unknown key that was added", func(f *Facts) {
			f.Status.Observations = []conf.Observation{unknown}
			f.Status.Peers[0].PublicKey = unknown.Key
		}, "", nil},
		{"unknown key, long ago", func(f *Facts) {
			f.Status.Observations = []conf.Observation{{Kind: conf.UnknownKey, Key: unknown.Key, Count: 1, First: seconds(7200), Last: seconds(7200)}}
		}, "", nil},
		{"mac1", func(f *Facts) { f.Status.Observations = []conf.Observation{sees(conf.BadMAC1, endpoint)} }, WrongPublicKey,
			[]string{"192.0.2.1:7", f9(), "address of peer B"}},
		{"mac1, corrected", func(f *Facts) {
			f.Status.Observations = []conf.Observation{sees(conf.BadMAC1, endpoint)}
			f.Status.Peers[0].LastHandshake = seconds(1)
		}, "", nil},
		{"no peer", func(f *Facts) { f.Status.Observations = []conf.Observation{sees(conf.NoPeer, "10.66.0.1")} }, NoPeerFor, []string{"10.66.0.1/32"}},
		{"no peer, corrected", func(f *Facts) { f.Status.Observations = []conf.Observation{sees(conf.NoPeer, "10.3.0.1")} }, "", nil},
		{"rules", func(f *Facts) { f.Host.RulesGone = []string{"5: not from all"} }, RulesGone, []string{"5: not from all", "ManageForeignRoutingPolicyRules=no"}},
		{"route", func(f *Facts) { f.Host.RoutesGone = []string{"10.0.0.0/8 dev wg0 table 254"} }, RoutesGone, []string{`the route "10.0.0.0/8 dev wg0 table 254", which`, "wgd reload wg0"}},
		{"routes", func(f *Facts) { f.Host.RoutesGone = []string{"10.0.0.0/8 dev wg0 table 254", "x"} }, RoutesGone, []string{"2 routes", "such as"}},
		{"mark off", func(f *Facts) { f.Host.RuleMark = 51820 }, MarkOff, []string{"wgconfig wg0 set fwmark 0xca6c"}},
		{"mark on", func(f *Facts) { f.Host.RuleMark, f.Status.FirewallMark = 51820, 51820 }, "", nil},
		{"filter", func(f *Facts) { f.Host.StrictFilter = "eth0" }, ReverseFilter, []string{"eth0", "src_valid_mark=1"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := facts()
			c.change(f)
			out := Explain(*f)
			if out.Name != "wg0" || out.Text == "" || len(out.Peers) != 2 {
				t.Errorf("got %+v", out)
			}
			check(t, out.Reasons, c.cause, c.want)
		})
	}
}

// While the interface is down, strangers do not matter.
func TestDownIsTheOnlyReason(t *testing.T) {
	f := facts()
	f.Status.Up = false
	f.Status.Observations = []conf.Observation{sees(conf.BadMAC1, endpoint)}
	for _, reasons := range [][]Reason{f.Reasons(), f.Shared(0)} {
		check(t, reasons, InterfaceDown, nil)
		if len(reasons) != 1 {
			t.Errorf("reasons %+v, want one", reasons)
		}
	}
}

func f9() string { return key.Public{9}.Base64() }
