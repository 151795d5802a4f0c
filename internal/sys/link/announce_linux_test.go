package link

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"wgd/internal/sys/netns/netnstest"
)

func newAnnouncer(t *testing.T, table uint32) *Announcer {
	t.Helper()
	a, err := NewAnnouncer(table, 119)
	must(t, err)
	t.Cleanup(a.Close)
	return a
}

// change changes routes, all of them.
func change(t *testing.T, a *Announcer, name string, remove, add []netip.Prefix) {
	t.Helper()
	if failed, err := a.Change(name, remove, add); err != nil || len(failed) > 0 {
		t.Fatalf("%s: %v, %v", name, failed, err)
	}
}

// announced returns the routes of an Announcer towards an interface.
func announced(t *testing.T, a *Announcer, name string) (list []string) {
	t.Helper()
	must(t, a.Each(name, func(p netip.Prefix) { list = append(list, p.String()) }))
	slices.Sort(list)
	return list
}

func prefixes(texts ...string) (list []netip.Prefix) {
	for _, text := range texts {
		list = append(list, netip.MustParsePrefix(text))
	}
	return list
}

// Routes are added to one table and removed from it, in both families. Those of others, in
// other tables or towards other interfaces, are neither listed nor removed. What is there
// already, or gone, is no error.
func TestAnnouncer(t *testing.T) {
	netnstest.Isolate(t)
	ipBatch(t, "link add d0 type veth peer name p0\nlink add d1 type veth peer name p1\nlink set d0 up\nlink set d1 up\n"+
		"route add 10.9.0.1/32 dev d0 table 1000 proto static\nroute add 10.9.0.2/32 dev d0 table 1001 proto 119\nroute add 10.9.0.3/32 dev d1 table 1000 proto 119\n")
	for _, table := range []uint32{1000, 70} {
		a := newAnnouncer(t, table)
		all := prefixes("10.2.0.1/32", "10.3.0.0/16", "0.0.0.0/0", "fd00::1/128", "fd01::/64", "::/0")
		change(t, a, "d0", nil, all)
		change(t, a, "d0", nil, all)
		if got, want := announced(t, a, "d0"), "0.0.0.0/0 10.2.0.1/32 10.3.0.0/16 ::/0 fd00::1/128 fd01::/64"; strings.Join(got, " ") != want {
			t.Errorf("table %d: %v, want %s", table, got, want)
		}
		change(t, a, "d0", append(all[:4:4], prefixes("10.9.0.1/32", "10.8.8.8/32")...), nil)
		if got, want := announced(t, a, "d0"), "::/0 fd01::/64"; strings.Join(got, " ") != want {
			t.Errorf("table %d: %v, want %s", table, got, want)
		}
	}
	out, err := exec.Command("ip", "route", "show", "table", "all").Output()
	must(t, err)
	for _, want := range []string{"10.9.0.1 dev d0 table 1000 proto static", "10.9.0.2 dev d0 table 1001 proto 119", "10.9.0.3 dev d1 table 1000 proto 119"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
}

// A prefix that moves to another interface has routes towards both for a while, each once, and
// keeps the second one. A route of somebody else comes first, and stays.
func TestAnnounceTwoInterfaces(t *testing.T) {
	netnstest.Isolate(t)
	ipBatch(t, "link add d0 type veth peer name p0\nlink add d1 type veth peer name p1\nlink set d0 up\nlink set d1 up\n"+
		"link set p0 up\nroute add 10.9.0.1/32 dev p0 table 1000 proto static\nroute add fd09::1/128 dev p0 table 1000 proto static\n")
	a := newAnnouncer(t, 1000)
	all := prefixes("10.2.0.1/32", "10.9.0.1/32", "fd00::1/128", "fd09::1/128")
	want := "[10.2.0.1/32 10.9.0.1/32 fd00::1/128 fd09::1/128]"
	for _, name := range []string{"d0", "d1", "d0", "d1"} {
		change(t, a, name, nil, all)
		if got := fmt.Sprint(announced(t, a, name)); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
	change(t, a, "d0", all, nil)
	if got := fmt.Sprint(announced(t, a, "d1")); got != want {
		t.Errorf("at last: %s, want %s", got, want)
	}
	for family, to := range map[string]string{"-4": "10.9.0.1", "-6": "fd09::1"} {
		out, err := exec.Command("ip", family, "route", "show", "table", "1000", "exact", to).Output()
		must(t, err)
		if lines := strings.Split(string(out), "\n"); len(lines) != 3 || !strings.HasPrefix(lines[0], to+" dev p0 ") || !strings.HasPrefix(lines[1], to+" dev d1 ") {
			t.Errorf("%s:\n%s", to, out)
		}
	}
}

// Many routes are changed with few requests, and listed without being held.
func TestAnnounceMany(t *testing.T) {
	netnstest.Isolate(t)
	ipBatch(t, "link add d0 type veth peer name p0\nlink set d0 up\n")
	a := newAnnouncer(t, 1000)
	var all []netip.Prefix
	for i := range 5000 {
		all = append(all, netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 2, byte(i >> 8), byte(i)}), 32), netip.PrefixFrom(netip.AddrFrom16([16]byte{0: 0xfd, 14: byte(i >> 8), 15: byte(i)}), 128))
	}
	change(t, a, "d0", nil, all)
	if n := len(announced(t, a, "d0")); n != len(all) {
		t.Errorf("%d routes, want %d", n, len(all))
	}
	change(t, a, "d0", all[:9999], nil)
	if got := announced(t, a, "d0"); fmt.Sprint(got) != fmt.Sprint(all[9999:]) {
		t.Errorf("%d are left: %.100v", len(got), got)
	}
}

// An interface that is down or gone has no routes, which is told from other errors, and so are
// missing rights.
func TestAnnounceErrors(t *testing.T) {
	netnstest.Isolate(t)
	ipBatch(t, "link add d0 type veth peer name p0\n")
	a := newAnnouncer(t, 1000)
	for _, name := range []string{"d0", "none"} {
		if _, err := a.Change(name, nil, prefixes("10.2.0.1/32")); !errors.Is(err, ErrDown) {
			t.Errorf("%s: %v", name, err)
		}
		if err := a.Each(name, func(netip.Prefix) {}); !errors.Is(err, ErrDown) {
			t.Errorf("%s: %v", name, err)
		}
	}
	ipBatch(t, "link set d0 up\n")
	if got := announced(t, a, "d0"); len(got) != 0 {
		t.Errorf("%v", got)
	}
	// Only this thread, which ends with the test, loses its rights.
	must(t, unix.Capset(&unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}, &make([]unix.CapUserData, 2)[0]))
	if _, err := NewAnnouncer(1000, 119); !errors.Is(err, ErrNoRights) {
		t.Errorf("without rights: %v", err)
	}
}

// Routes that the kernel does not take are named, whatever the reason is, and the others are
// changed. That the interface is up is told from that it is down.
func TestAnnounceRefused(t *testing.T) {
	netnstest.Isolate(t)
	ipBatch(t, "link add d0 type veth peer name p0\nlink add d1 type veth peer name p1\nlink set d0 up\nlink set d1 mtu 1200 up\n")
	must(t, os.WriteFile("/proc/sys/net/ipv6/conf/d0/disable_ipv6", []byte("1"), 0o644))
	a := newAnnouncer(t, 1000)
	var all, refused []netip.Prefix
	for i := range 200 { // two requests
		refused = append(refused, netip.PrefixFrom(netip.AddrFrom16([16]byte{0: 0xfd, 15: byte(i)}), 128))
		all = append(all, refused[i], netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 2, 0, byte(i)}), 32))
	}
	for name, reason := range map[string]error{"d0": unix.EACCES, "d1": unix.ENODEV} {
		failed, err := a.Change(name, nil, all)
		if !errors.Is(err, reason) || !strings.HasPrefix(err.Error(), "fd00::/128 in table 1000: ") || !slices.Equal(failed, refused) {
			t.Errorf("%s: %v, %v", name, failed, err)
		}
		if n := len(announced(t, a, name)); n != len(all)-len(refused) {
			t.Errorf("%s: there are %d routes", name, n)
		}
		change(t, a, name, all, nil)
	}
}

// What the kernel answers is parsed without a panic, whatever it is.
func FuzzAnnounced(f *testing.F) {
	a := &Announcer{table: 1000, protocol: 119}
	f.Add(a.appendRoute(nil, unix.RTM_NEWROUTE, 0, 3, unix.AF_INET, netip.MustParsePrefix("10.2.0.0/16")))
	f.Add(a.appendRoute(nil, unix.RTM_NEWROUTE, 0, 3, unix.AF_INET6, netip.MustParsePrefix("fd00::/8")))
	f.Fuzz(func(t *testing.T, b []byte) {
		for m := range messages(b) {
			if p, ok := a.ours(m.body, 3); ok && !p.IsValid() {
				t.Errorf("%v", p)
			}
		}
	})
}
