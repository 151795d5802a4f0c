package conf_test

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"wgd/conf"
	"wgd/key"
)

func ptr[T any](v T) *T { return &v }

// TestValidateErrors: every error names the cause and the solution, and is an
// ErrInvalid.
func TestValidateErrors(t *testing.T) {
	secret := key.NewPrivate(&[32]byte{8, 1, 2, 3, 4, 5, 6, 7, 8})
	peer := func(p conf.PeerChange) conf.Change {
		p.PublicKey = key.Public{0xab, 0xcd, 0xef, 0x01}
		return conf.Change{Peers: []conf.PeerChange{p}}
	}
	for _, c := range []struct {
		name   string
		change conf.Change
		want   string // "" if it is valid; otherwise a part of the error
	}{
		{"empty change", conf.Change{}, ""},
		{"a name with every kind of character", peer(conf.PeerChange{Name: ptr("aZ09._@-")}), ""},
		{"the longest name", peer(conf.PeerChange{Name: ptr(strings.Repeat("n", 63))}), ""},
		{"the empty name, which removes the name", peer(conf.PeerChange{Name: ptr("")}), ""},
		{"a name that is too long", peer(conf.PeerChange{Name: ptr(strings.Repeat("n", 64))}), "has 64 bytes: the maximum is 63"},
		{"a long name that looks like a key", peer(conf.PeerChange{Name: ptr(strings.Repeat("5f", 31))}), ""},
		{"a key in base64", peer(conf.PeerChange{Name: ptr(secret.Base64())}), "a peer's name was expected, but this is a key: give a name of"},
		{"a key in hexadecimal digits", peer(conf.PeerChange{Name: ptr(secret.Hex())}), "a peer's name was expected, but this is a key: give a name of"},
		{"a key with a typing error", peer(conf.PeerChange{Name: ptr(secret.Base64()[:43] + "/")}), "peer CAEC…: '/' is not allowed in a name"},
		{"two keys joined", peer(conf.PeerChange{Name: ptr(secret.Base64() + secret.Base64())}), "peer CAEC…: the name has 88 bytes"},
		{"a public key of low order", conf.Change{Peers: []conf.PeerChange{{}, {PublicKey: key.Public{1}}}}, ""}, // A11
		{"a space", peer(conf.PeerChange{Name: ptr("a b")}), `' ' is not allowed in a name: use letters`},
		{"a newline", peer(conf.PeerChange{Name: ptr("a\nremove=true")}), `'\n' is not allowed`},
		{"not ASCII", peer(conf.PeerChange{Name: ptr("ä")}), "is not allowed in a name"},
		{"port 0", peer(conf.PeerChange{Endpoint: ptr(netip.MustParseAddrPort("192.0.2.1:0"))}), "peer abcdef01: endpoint 192.0.2.1:0: no datagram reaches port 0"},
		{"no address", peer(conf.PeerChange{Endpoint: &netip.AddrPort{}}), "no address: write HOST:PORT"},
		{"no prefix", peer(conf.PeerChange{Name: ptr("B"), AllowedIPs: make([]conf.AllowedIPChange, 1)}), "peer B: allowed-ips: not a prefix"},
		{"an invalid name for a peer that is removed", peer(conf.PeerChange{Remove: true, Name: ptr("a b")}), ""},
		{"a time of 0", conf.Change{Tunables: conf.TunablesChange{RekeyTimeout: ptr(time.Duration(0))}}, "net.wg.rekey_timeout: 0s: give 1 to 86400 whole seconds"},
		{"a fraction of a second", conf.Change{Tunables: conf.TunablesChange{KeepaliveTimeout: ptr(1500 * time.Millisecond)}}, "net.wg.keepalive_timeout: 1.5s"},
		{"0 messages", conf.Change{Tunables: conf.TunablesChange{RekeyAfterMessages: ptr(uint64(0))}}, "net.wg.rekey_after_messages: 0"},
	} {
		err := c.change.Validate()
		switch {
		case c.want == "" && err != nil:
			t.Errorf("%s: got error %v, want none", c.name, err)
		case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
			t.Errorf("%s: got error %v, want one with %q", c.name, err, c.want)
		case c.want != "" && !errors.Is(err, conf.ErrInvalid):
			t.Errorf("%s: %v is not ErrInvalid", c.name, err)
		}
	}
}

// TestNamesWithinOneChange: names are unique; the last PeerChange of a peer counts (A59).
func TestNamesWithinOneChange(t *testing.T) {
	a, b := key.Public{1}, key.Public{2}
	named := func(k key.Public, n string) conf.PeerChange { return conf.PeerChange{PublicKey: k, Name: &n} }
	for _, c := range []struct {
		about string
		peers []conf.PeerChange
		ok    bool
	}{
		{"two names", []conf.PeerChange{named(a, "A"), named(b, "B")}, true},
		{"one name twice", []conf.PeerChange{named(a, "A"), named(b, "A")}, false},
		{"the same peer twice", []conf.PeerChange{named(a, "A"), named(a, "A")}, true},
		{"two peers swap names", []conf.PeerChange{named(a, "A"), named(b, "A"), named(a, "B")}, true},
		{"freed by removal", []conf.PeerChange{named(a, "A"), named(b, "A"), {PublicKey: a, Remove: true}}, true},
		{"both without a name", []conf.PeerChange{named(a, ""), named(b, "")}, true},
	} {
		if err := (&conf.Change{Peers: c.peers}).Validate(); (err == nil) != c.ok {
			t.Errorf("%s: got error %v, want valid: %v", c.about, err, c.ok)
		}
	}
}

// TestInterfaceNames: every accepted name is safe in a path.
func TestInterfaceNames(t *testing.T) {
	for name, ok := range map[string]bool{
		"wg0": true, "a": true, "my-vpn_1=2+3.4": true, "fifteen-bytes-x": true,
		"wg.0_1-2": true, "a:b": false, "wg%d": false, "\"q\"": false, "ä": false,
		"": false, "sixteen-bytes-xy": false, "..": false, ".": false, "a/b": false, "../wg0": false,
		"-l": false, "all": false, "default": false, "alle": true, "wé": false,
		"wg 0": false, "wg0\n": false, "wg:0": false, "wg\x00": false,
	} {
		if err := conf.ValidInterfaceName(name); (err == nil) != ok {
			t.Errorf("%q: got error %v, want valid: %v", name, err, ok)
		}
	}
}

func FuzzInterfaceName(f *testing.F) {
	f.Add("wg0")
	f.Add("../x")
	f.Fuzz(func(t *testing.T, name string) {
		if conf.ValidInterfaceName(name) == nil && (name == "" || len(name) > conf.MaxInterfaceName || strings.ContainsAny(name, "/: \n%\x00")) {
			t.Fatalf("%q was accepted", name)
		}
	})
}

// TestTunables: setting a tunable changes its value and no other.
func TestTunables(t *testing.T) {
	before := conf.DefaultTunables()
	for _, name := range conf.TunableNames() {
		var c conf.TunablesChange
		value := "1"
		if err := c.Set(name, value); err != nil {
			t.Fatal(err)
		}
		after := c.ApplyTo(before)
		for _, other := range conf.TunableNames() {
			want, _ := before.Get(other)
			if other == name {
				want = value
			}
			if got, err := after.Get(other); err != nil || got != want {
				t.Errorf("%s=1: %s is %s, want %s", name, other, got, want)
			}
		}
		var changed []string
		c.Each(func(n, v string) { changed = append(changed, n+"="+v) })
		if len(changed) != 1 || changed[0] != name+"=1" {
			t.Errorf("%s: Each reports %v", name, changed)
		}
		for _, bad := range []string{"", "-1", "x", "1.5", "99999999999999999999999", "1 "} {
			if err := c.Set(name, bad); err == nil || !strings.Contains(err.Error(), name) {
				t.Errorf("%s=%q: got error %v, want one that names the tunable", name, bad, err)
			}
		}
	}
	err := new(conf.TunablesChange).Set("net.wg.nothing", "1")
	if err == nil || !strings.Contains(err.Error(), "net.wg.rekey_after_time") {
		t.Errorf("unknown name: got error %v, want a list of the names", err)
	}
}

// TestDefaultsAreNetBSDs: the defaults are those of NetBSD's net.wg sysctls.
func TestDefaultsAreNetBSDs(t *testing.T) {
	d := conf.DefaultTunables()
	for name, want := range map[string]string{
		"net.wg.rekey_after_messages": "1152921504606846976",
		"net.wg.rekey_after_time":     "120",
		"net.wg.rekey_timeout":        "5",
		"net.wg.rekey_attempt_time":   "90",
		"net.wg.keepalive_timeout":    "10",
		"net.wg.force_underload":      "0",
		"net.wg.debug":                "0",
	} {
		if got, _ := d.Get(name); got != want {
			t.Errorf("%s = %s, want %s", name, got, want)
		}
	}
}

// FuzzValidate: no Change causes a panic, and an accepted one respects the limits (B40).
func FuzzValidate(f *testing.F) {
	f.Add("B", "192.0.2.1:51820", "10.0.0.1/8", int64(120), uint64(1), true)
	f.Add("", "", "", int64(0), uint64(0), false)
	f.Add("a b", "[::1%x]:1", "::/0", int64(-1), uint64(1)<<63, true)
	f.Fuzz(func(t *testing.T, name, endpoint, prefix string, seconds int64, messages uint64, twice bool) {
		ap, _ := netip.ParseAddrPort(endpoint)
		p, _ := netip.ParsePrefix(prefix)
		after := time.Duration(seconds)
		c := conf.Change{
			Tunables: conf.TunablesChange{RekeyAfterTime: &after, RekeyAfterMessages: &messages},
			Peers: []conf.PeerChange{{Name: &name, Endpoint: &ap,
				AllowedIPs: []conf.AllowedIPChange{{Prefix: p}}}},
		}
		if twice {
			c.Peers = append(c.Peers, conf.PeerChange{PublicKey: key.Public{1}, Name: &name})
		}
		if err := c.Validate(); err != nil {
			if strings.ContainsAny(err.Error(), "\n\r\x00") {
				t.Errorf("the error is not a single line: %q", err)
			}
			return
		}
		if !ap.IsValid() || ap.Port() == 0 || !p.IsValid() || len(name) > conf.MaxNameLen || twice && name != "" {
			t.Errorf("accepted name %q, endpoint %q, prefix %q", name, endpoint, prefix)
		}
	})
}
