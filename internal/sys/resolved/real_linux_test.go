package resolved

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"wgd/internal/resolve/dns/dnstest"
	"wgd/test/lab"
)

func TestMain(m *testing.M) {
	lab.BecomeAgent()
	os.Setenv("E2E_BIN", os.TempDir()) // hosts need none of our programs
	if text := os.Getenv(callVariable); text != "" {
		becomeCaller(text)
	}
	os.Exit(m.Run())
}

// callVariable has what this program calls when it is executed again, on a simulated host.
const callVariable = "WGD_TEST_RESOLVED"

// A jsonCall is the name of a function of this room, and its argument.
type jsonCall struct {
	Function string
	Link     Link
}

// becomeCaller does what a test wants to be done on a host. It does not return.
func becomeCaller(text string) {
	var c jsonCall
	err := json.Unmarshal([]byte(text), &c)
	if err == nil {
		switch c.Function {
		case "Answers":
			err = Answers(context.Background())
		case "Set":
			err = Set(context.Background(), c.Link)
		case "Revert":
			err = Revert(context.Background(), c.Link.Index)
		case "HasServers":
			var has bool
			if has, err = HasServers(context.Background(), c.Link.Index); err == nil && !has {
				err = errors.New("no servers")
			}
		case "Watch": // until it is killed
			Watch(context.Background(), func() { fmt.Println("started") })
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// callLine is a line of shell script that calls a function.
func callLine(t *testing.T, function string, l Link) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(jsonCall{function, l})
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%s='%s' %s", callVariable, text, self)
}

// A computer is a simulated host with a real systemd-resolved.
type computer struct {
	t *testing.T
	*lab.Host
	resolved *lab.Resolved
}

func newComputer(t *testing.T) *computer {
	t.Helper()
	t.Parallel()
	missing := lab.Missing()
	var c *computer
	if missing == "" {
		c = &computer{t: t, Host: lab.NewHost(t, "a")}
		c.resolved, missing = c.StartResolved()
	}
	if missing != "" {
		if os.Getenv("CI") == "true" {
			t.Fatal(missing)
		}
		t.Skipf("NOT TESTED: %s needs %s", t.Name(), missing)
	}
	return c
}

// calls calls a function on the host. It must return an error that has these words, or
// none if there are none.
func (c *computer) calls(function string, l Link, words string) {
	c.t.Helper()
	r := c.Run(callLine(c.t, function, l))
	if (r.Code != 0) != (words != "") || !strings.Contains(r.Err, words) {
		c.t.Errorf("%s for link %d: exit status %d and %q, want %q", function, l.Index, r.Code, r.Err, words)
	}
}

// has checks what systemd-resolved has for an interface.
func (c *computer) has(name, when, want string) {
	c.t.Helper()
	if got := c.resolved.Settings(name); got != want {
		c.t.Errorf("%s: %s has %q, want %q", when, name, got, want)
	}
}

// add makes an interface, and returns its index.
func (c *computer) add(name string) int {
	c.t.Helper()
	var index int
	if _, err := fmt.Sscan(c.Must("ip tuntap add %s mode tun && cat /sys/class/net/%s/ifindex", name, name), &index); err != nil {
		c.t.Fatal(err)
	}
	return index
}

var corp = Link{
	Servers:      []netip.Addr{netip.MustParseAddr("10.2.0.1"), netip.MustParseAddr("fe80::1%wg0")},
	Domains:      []Domain{{Name: "corp.example"}, {Name: ".", RouteOnly: true}},
	DefaultRoute: true,
}

const corpSettings = "10.2.0.1 fe80::1 | corp.example ~. | yes"

// A real systemd-resolved accepts what Set sends, also for a link that is down or has just
// been made, and keeps it over a restart and a crash unless what it saved is removed.
func TestRealSettings(t *testing.T) {
	c := newComputer(t)
	c.calls("Answers", Link{}, "")
	c.calls("Revert", Link{Index: 99}, "")
	c.calls("Set", Link{Index: 99}, "knows no such link")
	c.calls("Set", Link{Index: 1}, "loopback")
	c.calls("HasServers", Link{Index: 99}, "no servers")
	link := corp
	for range 5 {
		link.Index = c.add("wg0")
		c.calls("Set", link, "")
		c.has("wg0", "a new link", corpSettings)
		c.Must("ip link del wg0")
		c.calls("Revert", link, "")
	}
	link.Index = c.add("wg0")
	c.calls("Set", link, "")
	c.resolved.Stop()
	c.calls("Answers", Link{}, "is not running")
	c.calls("Set", link, "is not running")
	c.calls("Revert", link, "is not running")
	c.calls("HasServers", link, "is not running")
	c.resolved.Start()
	c.has("wg0", "after a restart", corpSettings)
	c.resolved.Crash()
	c.resolved.Start()
	c.has("wg0", "after a crash", corpSettings)
	c.calls("HasServers", link, "")
	c.resolved.Stop()
	c.resolved.Forget()
	c.resolved.Start()
	c.has("wg0", "after a restart without what was saved", "- | - | no")
	c.calls("HasServers", link, "no servers")
	c.calls("Set", link, "")
	c.has("wg0", "after Set", corpSettings)
	c.calls("Set", Link{Index: link.Index, Servers: corp.Servers[:1], Domains: []Domain{{Name: "corp.example", RouteOnly: true}}}, "")
	c.has("wg0", "after Set for one domain", "10.2.0.1 | ~corp.example | no")
	c.calls("Revert", link, "")
	c.has("wg0", "after Revert", "- | - | no")
}

// A link that systemd-networkd manages is refused, and the error names the solution.
func TestRealManagedLink(t *testing.T) {
	c := newComputer(t)
	link := corp
	link.Index = c.add("wg0")
	c.calls("Set", link, "")
	// What systemd-networkd would say about the link, and an event for which it is read.
	c.Must("mkdir -p /run/systemd/netif/links && echo ADMIN_STATE=configured >/run/systemd/netif/links/%d && ip link set wg0 mtu 1400", link.Index)
	lab.Until(t, time.Minute, "the settings are dropped", func() (bool, string) {
		got := c.resolved.Settings("wg0")
		return got == "- | - | no", got
	})
	c.calls("Set", link, ".network file")
}

// Watch reports each systemd-resolved that is started, and after a new bus the next one.
func TestRealWatch(t *testing.T) {
	c := newComputer(t)
	c.Must("(exec env %s) >/run/watch 2>&1 </dev/null &", callLine(t, "Watch", Link{}))
	reports := 0
	reported := func(when string) {
		t.Helper()
		reports++
		lab.Until(t, time.Minute, when, func() (bool, string) {
			text := c.Must("cat /run/watch")
			return strings.Count(text, "started\n") == reports, text
		})
	}
	reported("the one that is running")
	for range 3 {
		c.resolved.Stop()
		c.resolved.Start()
		reported("a restart")
		c.resolved.Crash()
		c.resolved.Start()
		reported("a start after a crash")
	}
	for range 2 {
		c.resolved.StopBus()
		c.resolved.StartBus()
		c.calls("Answers", Link{}, "is not running") // it runs, but does not connect to the new bus
		c.resolved.Stop()
		c.resolved.Start()
		reported("a restart after that of the bus")
	}
}

// Names go to the servers that Set gave their domains to, and no answer that was cached
// before is used. The cache would have it for an hour.
func TestRealQueries(t *testing.T) {
	c := newComputer(t)
	lan, office := lab.NewHost(t, "lan"), lab.NewHost(t, "office")
	lab.Link(c.Host, "lan0", []string{"192.0.2.1/24"}, lan, "lan0", []string{"192.0.2.2/24"})
	lab.Link(c.Host, "wg0", []string{"198.51.100.1/24"}, office, "wg0", []string{"198.51.100.2/24", "198.51.100.3/24"})
	public := dnstest.StartOn(t, lan.PID(), "0.0.0.0")
	public.SetAddrs("www.example", 3600, "203.0.113.1")
	first := dnstest.StartOn(t, office.PID(), "198.51.100.2")
	first.SetAddrs("www.corp.example", 3600, "10.2.0.80")
	second := dnstest.StartOn(t, office.PID(), "198.51.100.3")
	second.SetAddrs("www.corp.example", 3600, "10.2.0.81")
	index := func(name string) (index int) {
		if _, err := fmt.Sscan(c.Must("cat /sys/class/net/%s/ifindex", name), &index); err != nil {
			t.Fatal(err)
		}
		return index
	}
	finds := func(when, name, want string) {
		t.Helper()
		lab.Until(t, time.Minute, when+": "+name+" has "+want, func() (bool, string) {
			got := c.resolved.Query(name)
			return got == want, got
		})
	}
	server := func(link, address string, domains ...Domain) Link {
		return Link{Index: index(link), Servers: []netip.Addr{netip.MustParseAddr(address)}, Domains: domains, DefaultRoute: len(domains) == 0}
	}
	c.calls("Set", server("lan0", "192.0.2.2"), "")
	finds("without the office", "www.example", "203.0.113.1")
	finds("without the office", "www.corp.example", "")
	corp := Domain{Name: "corp.example", RouteOnly: true}
	c.calls("Set", server("wg0", "198.51.100.2", corp), "")
	finds("with the office", "www.corp.example", "10.2.0.80")
	finds("with the office", "other.example", "")
	c.calls("Set", server("wg0", "198.51.100.3", corp), "")
	finds("with the other server", "www.corp.example", "10.2.0.81")
	if first.Asked("other.example")+second.Asked("other.example") > 0 || public.Asked("other.example") == 0 {
		t.Error("the servers of the office were asked for a name that is not theirs")
	}
	c.calls("Set", server("wg0", "198.51.100.3", Domain{Name: ".", RouteOnly: true}), "")
	finds("with the office for all names", "www.example", "")
	finds("with the office for all names", "www.corp.example", "10.2.0.81")
	c.calls("Revert", Link{Index: index("wg0")}, "")
	finds("without the office again", "www.example", "203.0.113.1")
	finds("without the office again", "www.corp.example", "")
}
