package tunnelfile

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"wgd/conf"
	"wgd/internal/wgconf"
	"wgd/key"
)

// publicOf is the public key of a peer of the files of tests.
func publicOf(letter string) string { return strings.Repeat(letter, 42) + "A=" }

const privateText = "yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk="

// parse decodes a file.
func parse(t *testing.T, text string) *wgconf.File {
	t.Helper()
	file, problems := wgconf.Parse([]byte(text)).Decode(wgconf.Env{})
	if file == nil {
		t.Fatal(problems.Err("wg0.conf"))
	}
	return file
}

// tunnel is the tunnel of a file that has come up: names are resolved to 192.0.2.99.
func tunnel(file *wgconf.File) *conf.Status {
	s := &conf.Status{ListenPort: 40000, MTU: 1420}
	if k := file.Interface.PrivateKey; k != nil {
		s.PrivateKey, s.PublicKey = k.Clone(), k.Public()
	}
	if p := file.Interface.ListenPort; p != nil && *p != 0 {
		s.ListenPort = *p
	}
	change := file.Change()
	for i := range change.Peers {
		c := &change.Peers[i]
		p := conf.PeerStatus{PublicKey: c.PublicKey, Name: *c.Name, PresharedKey: c.PresharedKey.Clone(), PersistentKeepalive: *c.PersistentKeepalive}
		if c.Endpoint != nil {
			p.Endpoint = *c.Endpoint
		} else if file.Peers[i].Endpoint.Host != "" {
			p.Endpoint, p.EndpointName = netip.MustParseAddrPort("192.0.2.99:7"), file.Peers[i].Endpoint.String()
		}
		for _, a := range c.AllowedIPs {
			p.AllowedIPs = append(p.AllowedIPs, a.Prefix)
		}
		s.Peers = append(s.Peers, p)
	}
	return s
}

const base = `[Interface]
PrivateKey = ` + privateText + `
ListenPort = 1234
[Peer]
# Name = A
PublicKey = AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE=
PresharedKey = AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA8=
AllowedIPs = 10.0.0.0/24, 10.1.0.0/24
Endpoint = host.example:7
PersistentKeepalive = 25
[Peer]
PublicKey = BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBA=
AllowedIPs = 10.2.0.0/24
Endpoint = 192.0.2.2:7
`

// What each edit of a file asks for.
func TestCompare(t *testing.T) {
	for _, c := range []struct {
		name string
		edit []string // pairs: what is replaced by what
		live func(s *conf.Status)
		want []string
	}{
		{"nothing", nil, nil, nil},
		{"the port", []string{"1234", "1235"}, nil, []string{"set the listen port 1235"}},
		{"the port gone", []string{"ListenPort = 1234\n", ""}, nil, nil},
		{"the private key gone", []string{"PrivateKey = " + privateText, ""}, nil, nil},
		{"another private key", []string{"yAnz5", "yBnz5"}, nil, []string{"set the private key"}},
		{"MSS clamping", []string{"ListenPort = 1234", "ListenPort = 1234\n# MSSClamp = off"}, nil, []string{"turn MSS clamping off"}},
		{"a keepalive gone", []string{"PersistentKeepalive = 25\n", ""}, nil, []string{"peer A: remove the persistent keepalive"}},
		{"a preshared key gone", []string{"PresharedKey = AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA8=\n", ""}, nil, []string{"peer A: remove the preshared key"}},
		{"a name gone", []string{"# Name = A\n", ""}, nil, []string{"peer A: remove the name"}},
		{"a name", []string{"[Peer]\nPublicKey = B", "[Peer]\n# Name = B\nPublicKey = B"}, nil, []string{"peer 04104104: set the name B"}},
		{"an endpoint", []string{"192.0.2.2:7", "192.0.2.3:7"}, nil, []string{"peer 04104104: set the endpoint 192.0.2.3:7"}},
		{"an endpoint gone", []string{"Endpoint = 192.0.2.2:7\n", ""}, nil, nil},
		{"the name of an endpoint gone", []string{"Endpoint = host.example:7\n", ""}, nil, []string{"peer A: no longer look up the endpoint host.example:7"}},
		{"the address that the name has", []string{"host.example:7", "192.0.2.99:7"}, nil, []string{"peer A: set the endpoint 192.0.2.99:7"}},
		{"a name that a hook has set", []string{"Endpoint = 192.0.2.2:7\n", ""}, func(s *conf.Status) { s.Peers[1].EndpointName = "hook.example:7" }, nil},
		{"another name of an endpoint", []string{"host.example", "other.example"}, nil, []string{"peer A: set the endpoint other.example:7"}},
		{"allowed IPs in another order", []string{"10.0.0.0/24, 10.1.0.0/24", "10.1.0.0/24, 10.0.0.0/24"}, nil, nil},
		{"allowed IPs that move", []string{", 10.1.0.0/24", "", "10.2.0.0/24", "10.2.0.0/24, 10.1.0.0/24"}, nil,
			[]string{"peer A: set the allowed IPs 10.0.0.0/24", "peer 04104104: set the allowed IPs 10.2.0.0/24, 10.1.0.0/24"}},
		{"a peer less", []string{base[strings.Index(base, "[Peer]\nPublicKey = B"):], ""}, nil, []string{"remove the peer 04104104"}},
		{"a peer more", []string{"[Peer]\nPublicKey = B", "[Peer]\nPublicKey = " + publicOf("C") + "\n[Peer]\nPublicKey = B"}, nil, []string{"add the peer 08208208"}},

		{"a peer has moved", nil, func(s *conf.Status) { s.Peers[1].Endpoint = netip.MustParseAddrPort("203.0.113.1:9") }, nil},
		{"a hook has set what the file has not", nil, func(s *conf.Status) {
			s.FirewallMark, s.Peers[1].PersistentKeepalive, s.Peers[1].Name = 7, 9, "hook"
			s.Peers[1].PresharedKey = s.Peers[0].PresharedKey.Clone()
		}, nil},
		{"somebody has changed what the file has", nil, func(s *conf.Status) {
			s.ListenPort, s.Peers[0].PersistentKeepalive, s.Peers[0].AllowedIPs = 7, 9, nil
		}, []string{"set the listen port 1234", "peer A: set the persistent keepalive 25", "peer A: set the allowed IPs 10.0.0.0/24, 10.1.0.0/24"}},
		{"somebody has removed a peer", nil, func(s *conf.Status) { s.Peers = s.Peers[1:] }, []string{"add the peer A"}},
		{"a peer was lent", nil, func(s *conf.Status) {
			s.Peers = append(s.Peers, conf.PeerStatus{PublicKey: key.Public{31: 9}, Lent: 60})
		}, nil},
		{"somebody has added a peer", nil, func(s *conf.Status) { s.Peers = append(s.Peers, conf.PeerStatus{PublicKey: key.Public{31: 9}}) }, []string{"remove the peer 00000000"}},
	} {
		before := parse(t, base)
		live := tunnel(before)
		known := Remember(before, live, nil)
		if c.live != nil {
			c.live(live)
		}
		file := parse(t, strings.NewReplacer(c.edit...).Replace(base))
		got := Compare(file, known, live)
		if !slices.Equal(got.Lines, c.want) {
			t.Errorf("%s: got %q, want %q", c.name, got.Lines, c.want)
		}
		if len(got.Change.Peers) > len(c.want) || got.Empty() != (len(c.want) == 0) || got.Empty() && (got.Change.PrivateKey != nil || got.Change.ListenPort != nil) {
			t.Errorf("%s: the change does more than %q: %+v", c.name, c.want, got.Change)
		}
		if err := got.Change.Validate(); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

// A peer that a hook of wgd up has added stays, and one that the file had goes.
func TestCompareHookPeers(t *testing.T) {
	file := parse(t, base)
	live := tunnel(file)
	live.Peers = append(live.Peers, conf.PeerStatus{PublicKey: key.Public{9}, AllowedIPs: []netip.Prefix{netip.MustParsePrefix("10.77.0.0/16")}})
	known := Remember(file, live, nil)
	if got := Compare(file, known, live); !got.Empty() {
		t.Errorf("got %q", got.Lines)
	}
	if got := Compare(&wgconf.File{}, known, live); len(got.Change.Peers) != 2 {
		t.Errorf("without peers in the file: %q", got.Lines)
	}
	if got := Compare(file, nil, live); !slices.Contains(got.Lines, "remove the peer 09000000") {
		t.Errorf("nothing known: %q", got.Lines)
	}
}

// Wherever a prefix moves, and whichever peer comes first, the tunnel becomes what the
// file makes of a new one. The last section has what several have.
func TestCompareMovesPrefixes(t *testing.T) {
	section := func(letter, allowed string) string {
		if allowed != "" {
			allowed = "AllowedIPs = " + allowed + "\n"
		}
		return "[Peer]\nPublicKey = " + publicOf(letter) + "\n" + allowed
	}
	allowed := func(s *conf.Status) map[key.Public]string {
		m := map[key.Public]string{}
		for _, p := range s.Peers {
			slices.SortFunc(p.AllowedIPs, netip.Prefix.Compare)
			m[p.PublicKey] = fmt.Sprint(p.AllowedIPs)
		}
		return m
	}
	lists := []string{"10.1.0.0/24", "10.2.0.0/24", "10.1.0.0/24, 10.2.0.0/24", ""}
	var files []string
	for _, a := range lists {
		for _, b := range lists {
			files = append(files, section("B", a)+section("C", b), section("C", b)+section("B", a), section("B", a)+section("D", b))
		}
	}
	for _, from := range files {
		before := parse(t, from)
		live := tunnel(before)
		for _, to := range files {
			file := parse(t, to)
			d := Compare(file, Remember(before, live, nil), live)
			if got, want := allowed(After(live, &d.Change)), allowed(tunnel(file)); !maps.Equal(got, want) {
				t.Errorf("from\n%sto\n%sgot %v, want %v", from, to, got, want)
			}
		}
	}
}

// An endpoint by name is looked up only if the name is new.
func TestCompareNames(t *testing.T) {
	before := parse(t, base)
	live := tunnel(before)
	known := Remember(before, live, nil)
	if got := Compare(before, known, live); len(got.Names) != 0 {
		t.Errorf("the same name: %v", got.Names)
	}
	got := Compare(parse(t, strings.Replace(base, "host.example", "other.example", 1)), known, live)
	if len(got.Names) != 1 || got.Names[0].Endpoint.Host != "other.example" || got.Change.Peers[got.Names[0].Peer].PublicKey != before.Peers[0].PublicKey {
		t.Errorf("another name: %v", got.Names)
	}
}

// What is known after a reload, or during one that was interrupted, leaves nothing behind
// that has come from a file.
func TestDoubt(t *testing.T) {
	plain := parse(t, strings.NewReplacer("PersistentKeepalive = 25\n", "", "192.0.2.2:7", "192.0.2.3:7", "PresharedKey = AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA8=\n", "").Replace(base))
	full := parse(t, base)
	before := Remember(plain, tunnel(plain), nil)
	doubt := before.Doubt(Remember(full, tunnel(full), before))
	got := Compare(plain, doubt, tunnel(full)) // killed, and the file is edited back
	want := []string{"peer A: remove the preshared key", "peer A: remove the persistent keepalive", "peer 04104104: set the endpoint 192.0.2.3:7"}
	if !slices.Equal(got.Lines, want) {
		t.Errorf("got %q, want %q", got.Lines, want)
	}
	unnamed := parse(t, strings.Replace(base, "Endpoint = host.example:7\n", "", 1))
	doubt = Remember(full, tunnel(full), nil).Doubt(Remember(unnamed, tunnel(unnamed), nil))
	if got, want := Compare(unnamed, doubt, tunnel(full)).Lines, []string{"peer A: no longer look up the endpoint host.example:7"}; !slices.Equal(got, want) {
		t.Errorf("a name that was to go: got %q, want %q", got, want)
	}
	after := Remember(full, tunnel(full), before)
	if got := Compare(plain, after, tunnel(full)); !slices.Equal(got.Lines, want) {
		t.Errorf("after a reload: got %q, want %q", got.Lines, want)
	}
}

// After is what Apply makes of the endpoints and allowed IPs, and Back undoes a change.
func TestAfterAndBack(t *testing.T) {
	file := parse(t, base)
	live := tunnel(file)
	edited := parse(t, strings.NewReplacer(", 10.1.0.0/24", "", "10.2.0.0/24", "10.1.0.0/24", "192.0.2.2:7", "192.0.2.3:7").Replace(base)+"[Peer]\nPublicKey = "+publicOf("C")+"\nAllowedIPs = 10.3.0.0/24\n")
	d := Compare(edited, Remember(file, live, nil), live)
	after := After(live, &d.Change)
	for i, want := range []string{"[10.0.0.0/24] 192.0.2.99:7", "[10.1.0.0/24] 192.0.2.3:7", "[10.3.0.0/24] invalid AddrPort"} {
		p := after.Peers[i]
		var allowed []string
		for _, a := range p.AllowedIPs {
			allowed = append(allowed, a.String())
		}
		if got := "[" + strings.Join(allowed, " ") + "] " + p.Endpoint.String(); got != want {
			t.Errorf("peer %d: got %s, want %s", i, got, want)
		}
	}
	back := Back(live, &d.Change)
	if len(back.Peers) != 3 || !back.Peers[0].Remove || !samePrefixes(After(after, &back).Peers[0].AllowedIPs, live.Peers[0].AllowedIPs) || After(after, &back).Peers[1].Endpoint != live.Peers[1].Endpoint {
		t.Errorf("back: %+v", back)
	}
}
