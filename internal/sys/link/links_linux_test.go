package link

import (
	"errors"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"wgd/internal/sys/netns/netnstest"
)

func open(t *testing.T) *Links {
	t.Helper()
	links, err := Open()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(links.Close)
	return links
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestLinksChangesAndShowsAnInterface(t *testing.T) {
	netnstest.Isolate(t)
	links := open(t)
	newTUN(t, "wg0")
	a4, a6 := netip.MustParsePrefix("10.2.0.1/24"), netip.MustParsePrefix("fd00:2::1/64")
	must(t, links.NoAutomaticAddress("wg0"))
	must(t, links.AddAddress("wg0", a4))
	must(t, links.AddAddress("wg0", a6))
	must(t, links.SetMTU("wg0", 1420))
	must(t, links.SetUp("wg0", true))
	info, err := links.Get("wg0")
	must(t, err)
	if !info.Up || !info.Running || info.MTU != 1420 || info.Kind != KindTUN || info.Name != "wg0" {
		t.Errorf("%+v", info)
	}
	// addr_gen_mode none: no link-local address came by itself, and the
	// address is usable at once, without duplicate address detection.
	if !slices.EqualFunc(info.Addresses, []Address{{Prefix: a4}, {Prefix: a6}}, Address.Same) {
		t.Errorf("addresses %v", info.Addresses)
	}
	out, _ := exec.Command("ip", "-6", "address", "show", "wg0").Output()
	if strings.Contains(string(out), "tentative") {
		t.Errorf("tentative:\n%s", out)
	}
	all, err := links.List()
	must(t, err)
	if len(all) != 2 || all[0].Name != "lo" || all[1].Name != "wg0" {
		t.Errorf("%+v", all)
	}

	must(t, links.DeleteAddress("wg0", Address{Prefix: a4}))
	must(t, links.SetUp("wg0", false))
	if info, err = links.Get("wg0"); err != nil || info.Up {
		t.Errorf("%+v %v", info, err)
	}
	must(t, links.Delete("wg0"))
	if _, err := links.Get("wg0"); !errors.Is(err, ErrNotFound) {
		t.Error(err)
	}
}

func TestLinksErrorsAreSentences(t *testing.T) {
	netnstest.Isolate(t)
	links := open(t)
	newTUN(t, "wg0")
	a4 := netip.MustParsePrefix("10.2.0.1/24")
	must(t, links.AddAddress("wg0", a4))
	for _, c := range []struct {
		err  error
		kind error
		text string
	}{
		{links.AddAddress("wg0", a4), ErrExists, "wg0: add the address 10.2.0.1/24: it is there already"},
		{links.DeleteAddress("wg0", Address{Prefix: netip.MustParsePrefix("10.9.9.9/24")}), ErrNoAddress,
			"wg0: remove the address 10.9.9.9/24: the interface does not have it"},
		{links.SetUp("wg9", true), ErrNotFound, "wg9: the interface does not exist"},
		{noIPv6(t, links), ErrFamily, "wg0: add the address fd00::1/64: " +
			"IPv6 is disabled: allow it with sysctl(8) (net.ipv6.conf.*.disable_ipv6=0)"},
		{links.SetMTU("wg0", 70000), ErrBadValue, "wg0: set the mtu to 70000: the kernel does not accept the value"},
	} {
		if !errors.Is(c.err, c.kind) || c.err.Error() != c.text {
			t.Errorf("%v\nwant %s", c.err, c.text)
		}
	}
}

// noIPv6 adds an address where the administrator allows none.
func noIPv6(t *testing.T, links *Links) error {
	t.Helper()
	must(t, os.WriteFile("/proc/sys/net/ipv6/conf/wg0/disable_ipv6", []byte("1"), 0))
	return links.AddAddress("wg0", netip.MustParsePrefix("fd00::1/64"))
}

func TestSetSizes(t *testing.T) {
	netnstest.Isolate(t)
	links := open(t)
	newTUN(t, "wg0")
	must(t, links.SetGSOMax("wg0", 32768, 100))
	must(t, links.SetQueueLength("wg0", 1234))
	out, err := exec.Command("ip", "-d", "link", "show", "wg0").Output()
	must(t, err)
	for _, want := range []string{"gso_max_size 32768", "gso_max_segs 100", "qlen 1234"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
}

func changed(r RouteWatcher) bool {
	select {
	case <-r.Changed():
		return true
	case <-time.After(time.Second):
		return false
	}
}

// settle reads what is still on its way.
func settle(r RouteWatcher) {
	for {
		select {
		case <-r.Changed():
		case <-time.After(100 * time.Millisecond):
			return
		}
	}
}

// A52: a changed route forgets sticky sources; so it is told. A53: the mark
// chooses the route.
func TestRoutes(t *testing.T) {
	netnstest.Isolate(t)
	routes, err := WatchRoutes()
	must(t, err)
	t.Cleanup(routes.Close)
	newTUN(t, "d0")
	newTUN(t, "d1")
	run(t, "address", "add", "192.0.2.1/24", "dev", "d0")
	run(t, "link", "set", "d0", "up")
	run(t, "link", "set", "d1", "up")
	if !changed(routes) {
		t.Fatal("the new address was not told")
	}
	settle(routes)

	links := open(t)
	index := func(name string) int {
		info, err := links.Get(name)
		must(t, err)
		return info.Index
	}
	remote := netip.MustParseAddr("198.51.100.1")
	if _, err := routes.Index(remote, netip.Addr{}, 0); !errors.Is(err, ErrNoRoute) {
		t.Errorf("without a route: %v", err)
	}
	for _, step := range []struct {
		command string
		mark    uint32
		dev     string
	}{
		{"route add 198.51.100.0/24 dev d0", 0, "d0"},
		{"route replace 198.51.100.0/24 dev d1", 0, "d1"},
		{"route add 198.51.100.0/24 dev d0 table 7", 0, "d1"},
		{"rule add fwmark 5 table 7", 5, "d0"},
	} {
		run(t, strings.Fields(step.command)...)
		if !changed(routes) {
			t.Errorf("%s was not told", step.command)
		}
		got, err := routes.Index(remote, netip.Addr{}, step.mark)
		if err != nil || got != index(step.dev) {
			t.Errorf("%s: over %d (%v), want %s", step.command, got, err, step.dev)
		}
		settle(routes)
	}
	if got, err := routes.Index(netip.MustParseAddr("::ffff:198.51.100.1"), netip.Addr{}, 0); err != nil || got != index("d1") {
		t.Errorf("IPv4-mapped: %d %v", got, err)
	}
	run(t, "-6", "route", "replace", "fe80::/64", "dev", "d1")
	if got, err := routes.Index(netip.MustParseAddr("fe80::1%d1"), netip.Addr{}, 0); err != nil || got != index("d1") {
		t.Errorf("link-local: %d %v", got, err)
	}
	// A host with two ways out, each with its own source (A52).
	run(t, "addr", "add", "10.9.0.1/32", "dev", "d0")
	run(t, "rule", "add", "from", "10.9.0.1", "lookup", "7")
	if got, err := routes.Index(remote, netip.MustParseAddr("10.9.0.1"), 0); err != nil || got != index("d0") {
		t.Errorf("by its source: %d %v", got, err)
	}
	if _, err := routes.Index(remote, netip.MustParseAddr("10.9.0.2"), 0); !errors.Is(err, ErrNoRoute) {
		t.Errorf("from an address that the host does not have: %v", err)
	}
	run(t, "route", "add", "blackhole", "203.0.113.0/24")
	if _, err := routes.Index(netip.MustParseAddr("203.0.113.1"), netip.Addr{}, 0); !errors.Is(err, ErrNoRoute) {
		t.Errorf("blackhole: %v", err)
	}
}

func TestOperationsNeedNoLeftovers(t *testing.T) {
	netnstest.Isolate(t)
	count := func() int {
		entries, err := os.ReadDir("/proc/self/fd")
		must(t, err)
		return len(entries)
	}
	d := newTUN(t, "wg0")
	time.Sleep(50 * time.Millisecond) // other tests' watchers close their files
	before := count()
	for range 5 {
		w, err := Watch(d)
		must(t, err)
		routes, err := WatchRoutes()
		must(t, err)
		w.Close()
		routes.Close()
		for range w.States() {
		}
	}
	if after := count(); after > before {
		t.Errorf("%d open files became %d", before, after)
	}
}
