package link

import (
	"errors"
	"net/netip"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"wgd/internal/sys/netns/netnstest"
)

// shown is what ip(8) prints.
func shown(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.Command("ip", args...).CombinedOutput()
	if err != nil {
		t.Fatalf("ip %v: %v\n%s", args, err, out)
	}
	return string(out)
}

func prefix(text string) netip.Prefix { return netip.MustParsePrefix(text) }

// AddRoute and AddRule add what ip(8) adds.
func TestRoutesAndRulesAreThoseOfIP(t *testing.T) {
	netnstest.Isolate(t)
	newTUN(t, "tun0")
	links, err := Open()
	if err != nil {
		t.Fatal(err)
	}
	defer links.Close()
	if err := links.NoAutomaticAddress("tun0"); err != nil { // it would appear while this test compares
		t.Fatal(err)
	}
	run(t, "link", "set", "tun0", "up")
	state := func() string {
		return shown(t, "-d", "route", "show", "table", "all") + shown(t, "-d", "rule") + shown(t, "-d", "-6", "rule")
	}
	before := state()
	routes := []StaticRoute{{prefix("10.7.0.0/16"), MainTable}, {prefix("0.0.0.0/0"), 51820}, {prefix("fd07::/48"), MainTable}, {prefix("::/0"), 51820}, {prefix("10.7.0.1/32"), 99}}
	rules := []Rule{
		{Priority: 900, Table: 51820, NotMark: 51820}, {Priority: 899, Table: MainTable, NoDefault: true},
		{IPv6: true, Priority: 900, Table: 51820, NotMark: 0xfffffffe}, {IPv6: true, Priority: 899, Table: MainTable, NoDefault: true},
		{Priority: 800, Mark: 51820, Goto: 32766}, {IPv6: true, Priority: 800, Mark: 7, Goto: 900},
	}
	for _, r := range routes {
		if err := links.AddRoute("tun0", r); err != nil {
			t.Error(err)
		}
		if err := links.AddRoute("tun0", r); !errors.Is(err, ErrExists) {
			t.Errorf("%v a second time: %v", r, err)
		}
	}
	for _, r := range rules {
		if err := links.AddRule(r); err != nil {
			t.Error(err)
		}
	}
	ours := state()
	if got, err := links.RoutesTo("tun0"); err != nil || !slices.Contains(got, prefix("10.7.0.0/16")) || !slices.Contains(got, prefix("fd07::/48")) || len(got) > 3 {
		t.Errorf("RoutesTo: %v, %v", got, err)
	}
	if got, err := links.Tables(); err != nil || !got[51820] || !got[99] || !got[255] || got[7] {
		t.Errorf("Tables: %v, %v", got, err)
	}
	for _, ipv6 := range []bool{false, true} {
		got, err := links.Priorities(ipv6)
		if err != nil || !slices.Equal(got[:5], []uint32{0, 800, 899, 900, 32766}) {
			t.Errorf("Priorities: %v, %v", got, err)
		}
	}
	for _, r := range rules {
		if got, err := links.Rules(r.IPv6); err != nil || !slices.Contains(got, r) {
			t.Errorf("Rules: %v, %v, want %v among them", got, err, r)
		}
	}
	all, err := links.AllRoutesTo("tun0")
	for _, r := range routes {
		if err != nil || !slices.Contains(all, r) {
			t.Errorf("AllRoutesTo: %v, %v, want %v among them", all, err, r)
		}
	}
	if used, err := links.UsesMarks(); err != nil || !used {
		t.Errorf("UsesMarks: %v, %v", used, err)
	}
	for _, r := range rules {
		if err := links.DeleteRule(r); err != nil {
			t.Error(err)
		}
		if err := links.DeleteRule(r); !errors.Is(err, ErrNoRule) {
			t.Errorf("%v a second time: %v", r, err)
		}
	}
	if used, err := links.UsesMarks(); err != nil || used {
		t.Errorf("UsesMarks without rules: %v, %v", used, err)
	}
	for _, r := range routes {
		if err := links.DeleteRoute("tun0", r); err != nil {
			t.Error(err)
		}
		if err := links.DeleteRoute("tun0", r); !errors.Is(err, ErrNoRoute) {
			t.Errorf("%v a second time: %v", r, err)
		}
	}
	if left := state(); left != before {
		t.Errorf("left over:\n%s\nbefore:\n%s", left, before)
	}
	for _, line := range []string{
		"route add 10.7.0.0/16 dev tun0", "route add default dev tun0 table 51820", "-6 route add fd07::/48 dev tun0",
		"-6 route add default dev tun0 table 51820", "route add 10.7.0.1/32 dev tun0 table 99",
		"rule add not fwmark 51820 table 51820 pref 900", "rule add table main suppress_prefixlength 0 pref 899",
		"-6 rule add not fwmark 0xfffffffe table 51820 pref 900", "-6 rule add table main suppress_prefixlength 0 pref 899",
		"rule add fwmark 51820 pref 800 goto 32766", "-6 rule add fwmark 7 pref 800 goto 900",
	} {
		run(t, strings.Fields(line)...)
	}
	if theirs := state(); ours != theirs {
		t.Errorf("got:\n%s\nip(8) has:\n%s", ours, theirs)
	}
}

// PathMTU is what ip route get says, and DefaultMTU what the default route says.
func TestPathMTU(t *testing.T) {
	netnstest.Isolate(t)
	links, err := Open()
	if err != nil {
		t.Fatal(err)
	}
	defer links.Close()
	if mtu, err := links.DefaultMTU(); !errors.Is(err, ErrNoRoute) {
		t.Errorf("no default route: %d, %v", mtu, err)
	}
	for _, line := range []string{
		"link add v0 type veth peer name v0x", "link set v0x up", "link set v0 mtu 1400 up", "address add 192.0.2.1/24 dev v0", "-6 address add 2001:db8::1/64 dev v0 nodad",
		"link add v1 type veth peer name v1x", "link set v1x up", "link set v1 mtu 1300 up", "address add 192.0.3.1/24 dev v1",
		"route add 198.51.100.0/24 via 192.0.2.7 mtu 1350", "route add 198.51.101.0/24 via 192.0.2.7 mtu lock 1340",
		"route add 203.0.113.0/24 dev v1 table 7", "rule add fwmark 5 table 7", "route add default via 192.0.2.7",
		"route add unreachable 198.51.102.0/24",
	} {
		run(t, strings.Fields(line)...)
	}
	for _, c := range []struct {
		to   string
		mark uint32
		want int // 0: no route
	}{
		{"192.0.2.9", 0, 1400}, {"::ffff:192.0.3.9", 0, 1300}, {"198.51.100.9", 0, 1350}, {"198.51.101.9", 0, 1340}, {"203.0.113.9", 0, 1400},
		{"203.0.113.9", 5, 1300}, {"2001:db8::9", 0, 1400}, {"fe80::1%v0", 0, 1400}, {"198.51.102.9", 0, 0}, {"2001:db9::1", 0, 0},
	} {
		mtu, err := links.PathMTU(netip.MustParseAddr(c.to), c.mark)
		if mtu != c.want || errors.Is(err, ErrNoRoute) != (c.want == 0) {
			t.Errorf("to %s with mark %d: %d, %v, want %d", c.to, c.mark, mtu, err, c.want)
		}
	}
	if mtu, err := links.DefaultMTU(); mtu != 1400 || err != nil {
		t.Errorf("DefaultMTU: %d, %v", mtu, err)
	}
	run(t, strings.Fields("route replace default via 192.0.2.7 mtu 1333")...)
	if mtu, err := links.DefaultMTU(); mtu != 1333 || err != nil {
		t.Errorf("DefaultMTU of a route with an mtu: %d, %v", mtu, err)
	}
}
