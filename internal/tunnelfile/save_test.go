package tunnelfile

import (
	"net/netip"
	"strings"
	"testing"

	"wgd/conf"
	"wgd/internal/wgconf"
	"wgd/key"
)

const saveBase = `# the office
[Interface]
Address = 10.0.0.1/24 # mine
DNS = 10.0.0.53, ~corp.example
PrivateKey = ` + privateText + `
PostUp = wg set %i fwmark 7

[Peer] # the first
# Name = A
PublicKey = AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE=
PresharedKey = AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA8=
AllowedIPs = 10.0.0.0/24,10.1.0.0/24
Endpoint = host.example:7
PersistentKeepalive = 25

# about B
[Peer]
PublicKey = BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBA=
AllowedIPs = 10.2.0.0/16
ExcludedIPs = 10.2.3.0/24
Endpoint = 192.0.2.2:7

[Peer]
PublicKey = CCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCA=
AllowedIPs = 10.3.0.0/24
`

// save does what wgd save does with a text.
func save(t *testing.T, text string, known *Known, live *conf.Status) (after string, notes []string, err error) {
	t.Helper()
	document := wgconf.Parse([]byte(text))
	from, problems := document.Decode(wgconf.Env{CheckOnly: true})
	if from == nil {
		t.Fatal(problems.Err("wg0.conf"))
	}
	to, notes, err := Save(from, known, live)
	if err != nil {
		return "", nil, err
	}
	document.Update(from, to)
	read := parse(t, string(document.Bytes()))
	if !Expresses(read, to) {
		t.Errorf("the new text does not say what was to be saved:\n%s", document.Bytes())
	}
	k := RememberSaved(from, to, live, known)
	if again, _, err := Save(read, k, live); err != nil || !Expresses(again, read) {
		t.Errorf("a second save changes more: %v", err)
	}
	return string(document.Bytes()), notes, nil
}

// What changes in the file after each change of the tunnel, and only that.
func TestSave(t *testing.T) {
	none := key.Preshared{}
	for _, c := range []struct {
		name string
		live func(s *conf.Status)
		want []string // pairs: what is replaced by what
		note string
	}{
		{"nothing", func(*conf.Status) {}, nil, ""},
		{"the port", func(s *conf.Status) { s.ListenPort = 1300 }, []string{"PostUp = wg set %i fwmark 7\n", "PostUp = wg set %i fwmark 7\nListenPort = 1300\n"}, ""},
		{"the mark", func(s *conf.Status) { s.FirewallMark = 8 }, []string{"PostUp = wg set %i fwmark 7\n", "PostUp = wg set %i fwmark 7\nFwMark = 0x8\n"}, ""},
		{"a keepalive", func(s *conf.Status) { s.Peers[0].PersistentKeepalive = 9 }, []string{"= 25", "= 9"}, ""},
		{"a lent peer", func(s *conf.Status) {
			s.Peers = append(s.Peers, conf.PeerStatus{PublicKey: key.Public{31: 9}, Lent: 60})
		}, nil, ""},
		{"no keepalive", func(s *conf.Status) { s.Peers[0].PersistentKeepalive = 0 }, []string{"PersistentKeepalive = 25\n", ""}, ""},
		{"no preshared key", func(s *conf.Status) { s.Peers[0].PresharedKey = none }, []string{"PresharedKey = AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA8=\n", ""}, ""},
		{"a preshared key", func(s *conf.Status) { s.Peers[2].PresharedKey = s.Peers[0].PresharedKey },
			[]string{"AllowedIPs = 10.3.0.0/24\n", "AllowedIPs = 10.3.0.0/24\nPresharedKey = AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA8=\n"}, ""},
		{"a name", func(s *conf.Status) { s.Peers[0].Name = "Z" }, []string{"# Name = A", "# Name = Z"}, ""},
		{"allowed IPs", func(s *conf.Status) {
			s.Peers[0].AllowedIPs = []netip.Prefix{netip.MustParsePrefix("10.9.0.0/24"), netip.MustParsePrefix("10.1.0.0/24")}
		}, []string{"10.0.0.0/24,10.1.0.0/24", "10.1.0.0/24, 10.9.0.0/24"}, ""},
		{"one more beside excluded ones", func(s *conf.Status) {
			s.Peers[1].AllowedIPs = append(s.Peers[1].AllowedIPs, netip.MustParsePrefix("10.9.0.0/24"))
		}, []string{"AllowedIPs = 10.2.0.0/16", "AllowedIPs = 10.2.0.0/16, 10.9.0.0/24"}, ""},
		{"the address of a name", func(s *conf.Status) { s.Peers[0].Endpoint = netip.MustParseAddrPort("203.0.113.1:9") }, nil, ""},
		{"an endpoint", func(s *conf.Status) { s.Peers[1].Endpoint = netip.MustParseAddrPort("[fd00::1]:9") }, []string{"192.0.2.2:7", "[fd00::1]:9"}, ""},
		{"another name", func(s *conf.Status) { s.Peers[0].EndpointName = "other.example:9" }, []string{"host.example:7", "other.example:9"}, ""},
		{"an address in place of a name", func(s *conf.Status) { s.Peers[0].EndpointName = "" }, []string{"host.example:7", "192.0.2.99:7"}, ""},
		{"a name in place of an address", func(s *conf.Status) { s.Peers[1].EndpointName = "b.example:9" }, []string{"192.0.2.2:7", "b.example:9"}, ""},
		{"MSS clamping", func(s *conf.Status) { s.NoMSSClamp = true }, []string{"[Interface]\n", "[Interface]\n# MSSClamp = off\n"}, ""},
		{"an endpoint that was set", func(s *conf.Status) { s.Peers[2].Endpoint = netip.MustParseAddrPort("203.0.113.1:9") },
			[]string{"AllowedIPs = 10.3.0.0/24\n", "AllowedIPs = 10.3.0.0/24\nEndpoint = 203.0.113.1:9\n"}, ""},
		{"an endpoint that the peer may have told", func(s *conf.Status) {
			s.Peers[2].Endpoint, s.Peers[2].RxBytes = netip.MustParseAddrPort("203.0.113.1:9"), 148
		}, nil, "203.0.113.1:9 is not saved"},
		{"a peer less", func(s *conf.Status) { s.Peers = s.Peers[:2] }, []string{"\n[Peer]\nPublicKey = CCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCA=\nAllowedIPs = 10.3.0.0/24\n", ""}, ""},
		{"a peer more", func(s *conf.Status) {
			s.Peers = append(s.Peers, conf.PeerStatus{PublicKey: key.Public{31: 9}, Name: "N", AllowedIPs: []netip.Prefix{netip.MustParsePrefix("10.8.0.0/24")}})
		}, []string{"AllowedIPs = 10.3.0.0/24\n", "AllowedIPs = 10.3.0.0/24\n\n[Peer]\n# Name = N\nPublicKey = AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAk=\nAllowedIPs = 10.8.0.0/24\n"}, ""},
	} {
		file := parse(t, saveBase)
		live := tunnel(file)
		live.FirewallMark = 7 // the hook
		known := Remember(file, live, nil)
		c.live(live)
		got, notes, err := save(t, saveBase, known, live)
		if want := strings.NewReplacer(c.want...).Replace(saveBase); err != nil || got != want {
			t.Errorf("%s: %v, got\n%s\nwant\n%s", c.name, err, got, want)
		}
		if note := strings.Join(notes, "; "); !strings.Contains(note, c.note) || c.note == "" && note != "" {
			t.Errorf("%s: notes %q, want %q", c.name, note, c.note)
		}
	}
}

// A message names a few of the peers whose endpoints are not saved, however many there
// are.
func TestSaveNotesAreFew(t *testing.T) {
	text := "[Interface]\n"
	for _, letter := range []string{"A", "B", "C", "D", "E"} {
		text += "[Peer]\n# Name = " + letter + "\nPublicKey = " + publicOf(letter) + "\n"
	}
	file := parse(t, text)
	live := tunnel(file)
	known := Remember(file, live, nil)
	for n, want := range []string{
		"",
		"peer A: the endpoint 192.0.2.1:7 is not saved",
		"peers A, B: their endpoints are not saved",
		"peers A, B, C: their endpoints are not saved",
		"peers A, B, C and 1 more: their endpoints are not saved",
		"peers A, B, C and 2 more: their endpoints are not saved",
	} {
		if n > 0 {
			live.Peers[n-1].Endpoint, live.Peers[n-1].RxBytes = netip.MustParseAddrPort("192.0.2.1:7"), 148
		}
		got, notes, err := save(t, text, known, live)
		if note := strings.Join(notes, "\n"); err != nil || got != text || !strings.HasPrefix(note, want) || (note == "") != (want == "") || strings.Contains(note, "\n") {
			t.Errorf("%d: %q, %v, want %q", n, note, err, want)
		}
	}
}

// A prefix that two sections have moves to the other one, and back, also beside another
// change.
func TestSavePrefixOfTwoSections(t *testing.T) {
	const one, two = "10.0.0.0/24, 10.1.0.0/24\n", "10.1.0.0/24, 10.2.0.0/24\n"
	section := func(letter, allowed string) string {
		return "[Peer]\nPublicKey = " + publicOf(letter) + "\nAllowedIPs = " + allowed
	}
	text := "[Interface]\n" + section("B", one) + section("C", two)
	prefixes := func(list ...string) (prefixes []netip.Prefix) {
		for _, p := range list {
			prefixes = append(prefixes, netip.MustParsePrefix(p))
		}
		return prefixes
	}
	for _, c := range []struct {
		a, b []netip.Prefix // the allowed IPs of the tunnel
		want string
	}{
		{prefixes("10.0.0.0/24"), prefixes("10.1.0.0/24", "10.2.0.0/24"), text},
		{prefixes("10.0.0.0/24", "10.1.0.0/24"), prefixes("10.2.0.0/24"), "[Interface]\n" + section("B", one) + section("C", "10.2.0.0/24\n")},
		{prefixes("10.0.0.0/24", "10.9.0.0/24"), prefixes("10.1.0.0/24", "10.2.0.0/24"),
			"[Interface]\n" + section("B", "10.0.0.0/24, 10.1.0.0/24, 10.9.0.0/24\n") + section("C", two)},
		{nil, prefixes("10.0.0.0/24", "10.1.0.0/24"), "[Interface]\n" + section("B", "10.1.0.0/24\n") + section("C", "10.1.0.0/24, 10.0.0.0/24\n")},
	} {
		file := parse(t, text)
		live := tunnel(file)
		known := Remember(file, live, nil)
		live.Peers[0].AllowedIPs, live.Peers[1].AllowedIPs = c.a, c.b
		if got, _, err := save(t, text, known, live); err != nil || got != c.want {
			t.Errorf("%v and %v: %v, got\n%s\nwant\n%s", c.a, c.b, err, got, c.want)
		}
	}
}

// What was edited in the file since then stays, beside what has changed about the tunnel.
func TestSaveKeepsEdits(t *testing.T) {
	file := parse(t, saveBase)
	live := tunnel(file)
	known := Remember(file, live, nil)
	live.Peers[0].Name = "Z"
	live.Peers = live.Peers[:2]
	edited := strings.NewReplacer("= 25", "= 30", "192.0.2.2:7", "192.0.2.9:7", "DNS = 10.0.0.53, ~corp.example", "DNS = 10.0.0.54").Replace(saveBase) + "[Peer]\nPublicKey = " + publicOf("D") + "\n"
	want := strings.NewReplacer("# Name = A", "# Name = Z", "[Peer]\nPublicKey = CCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCCA=\nAllowedIPs = 10.3.0.0/24\n", "").Replace(edited)
	got, _, err := save(t, edited, known, live)
	if err != nil || got != want {
		t.Errorf("%v, got\n%s\nwant\n%s", err, got, want)
	}
	from, to := parse(t, edited), parse(t, got)
	after := RememberSaved(from, to, live, known)
	lines := strings.Join(Compare(to, after, live).Lines, "\n")
	for _, line := range []string{"set the persistent keepalive 30", "set the endpoint 192.0.2.9:7", "add the peer"} {
		if !strings.Contains(lines, line) {
			t.Errorf("a reload after that does not %s: %s", line, lines)
		}
	}
}

// Peers and values of hooks are not written.
func TestSaveIgnoresHooks(t *testing.T) {
	file := parse(t, saveBase)
	live := tunnel(file)
	live.Peers[2].PersistentKeepalive, live.Peers[2].PresharedKey = 9, live.Peers[0].PresharedKey
	live.Peers = append(live.Peers, conf.PeerStatus{PublicKey: key.Public{31: 9}})
	got, _, err := save(t, saveBase, Remember(file, live, nil), live)
	if err != nil || got != saveBase {
		t.Errorf("%v, got\n%s", err, got)
	}
}

// What a file cannot express is an error.
func TestSaveRefuses(t *testing.T) {
	text := strings.NewReplacer("PrivateKey = "+privateText, "PrivateKeyFile = key", "PresharedKey = AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA8=", "PresharedKeyFile = psk").Replace(saveBase)
	for name, change := range map[string]func(s *conf.Status){
		"PrivateKeyFile = key":   func(s *conf.Status) { s.PublicKey = key.Public{5} },
		"PresharedKeyFile = psk": func(s *conf.Status) { s.Peers[0].PresharedKey = parse(t, base).Peers[0].PresharedKey },
		"no private key":         func(s *conf.Status) { s.PublicKey = key.Public{} },
	} {
		file := parse(t, text)
		live := tunnel(file)
		live.PublicKey = key.Public{4}
		known := Remember(file, live, nil)
		if got, _, err := save(t, text, known, live); err != nil || got != text {
			t.Errorf("without a change: %v, got\n%s", err, got)
		}
		change(live)
		if _, _, err := save(t, text, known, live); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
