package netsetup

import (
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"wgd/internal/wgconf"
)

// PlanDNS makes a step if there is a resolvconf and it can do what the file wants, and
// otherwise says why not.
func TestPlanDNS(t *testing.T) {
	with, empty := t.TempDir(), t.TempDir()
	if err := os.WriteFile(filepath.Join(with, "resolvconf"), []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		line, path string
		want       error
		text       string // what resolvconf gets; "": no step
	}{
		{"", empty, nil, ""},
		{"DNS = 10.2.0.1", empty, ErrNoResolvconf, ""},
		{"DNS = corp.example", with, ErrNoServer, ""},
		{"DNS = 10.2.0.1, ~corp.example", with, ErrSplit, ""},
		{"DNS = 10.2.0.1", with, nil, "nameserver 10.2.0.1\n"},
		{"DNS = 10.2.0.1, fd00::1, a.example, b.example", with, nil, "nameserver 10.2.0.1\nnameserver fd00::1\nsearch a.example b.example\n"},
	} {
		t.Setenv("PATH", c.path)
		steps, err := PlanDNS("wg0", &decode(t, c.line).Interface.Network.DNS)
		if !errors.Is(err, c.want) || len(steps) > 1 || (len(steps) == 1) != (c.text != "") {
			t.Errorf("%q: %v, %v", c.line, steps, err)
		} else if c.text != "" && steps[0].DNS.text() != c.text {
			t.Errorf("%q: got %q, want %q", c.line, steps[0].DNS.text(), c.text)
		}
	}
	if steps, err := PlanDNS("wg0", &wgconf.DNS{}); steps != nil || err != nil {
		t.Errorf("no DNS: %v, %v", steps, err)
	}
}

// The prefix is the first pattern of Debian's list that is a kind of interface. systemd's
// resolvconf, a symbolic link, gets none.
func TestEntryPrefix(t *testing.T) {
	dir := t.TempDir()
	order, program, link := filepath.Join(dir, "order"), filepath.Join(dir, "resolvconf"), filepath.Join(dir, "link")
	if err := errors.Join(os.WriteFile(program, nil, 0o755), os.Symlink(program, link)); err != nil {
		t.Fatal(err)
	}
	if got := entryPrefix(program, order); got != "" {
		t.Errorf("without a list: %q", got)
	}
	for text, want := range map[string]string{
		"# order\nlo.inet6\nlo.*\nlo.!(pppd)\n*.dhclient\ntun*\ntap*\n": "tun.", "eth0\n": "", "": "", "  a-1*  ": "a-1.", "*\n": "",
	} {
		if err := os.WriteFile(order, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if got := entryPrefix(program, order); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
		if got := entryPrefix(link, order); got != "" {
			t.Errorf("a link: %q", got)
		}
	}
}

// A resolv.conf has the servers, or leads to a resolver of this host, or neither.
func TestAsks(t *testing.T) {
	servers := []netip.Addr{netip.MustParseAddr("10.2.0.1"), netip.MustParseAddr("fd00::1")}
	for text, want := range map[string]bool{
		"": false, "nameserver 192.0.2.53\n": false, "# nameserver 10.2.0.1\n": false, "nameserver\nnameserver x\n": false,
		"nameserver 10.2.0.1": true, "search a\nnameserver  fd00:0::1 \n": true, "nameserver 127.0.0.53\n": true,
	} {
		if got := asks(text, servers); got != want {
			t.Errorf("%q: got %v, want %v", text, got, want)
		}
	}
}
