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
	// addr_gen_mode none: no link-local address was added automatically, and the
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

// noIPv6 adds an address where IPv6 is disabled.
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

func TestOperationsNeedNoLeftovers(t *testing.T) {
	netnstest.Isolate(t)
	count := func() int {
		entries, err := os.ReadDir("/proc/self/fd")
		must(t, err)
		return len(entries)
	}
	d := newTUN(t, "wg0")
	time.Sleep(50 * time.Millisecond) // until watchers of other tests have closed their files
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
