package link

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"wgd/internal/sys/netns/netnstest"

	"golang.org/x/sys/unix"
)

// twoLinks makes a namespace with two interfaces that are up, d0 and d1, and watches
// its routes.
func twoLinks(t *testing.T) (r RouteWatcher, index func(name string) uint32) {
	t.Helper()
	netnstest.Isolate(t)
	r, err := WatchRoutes()
	must(t, err)
	t.Cleanup(r.Close)
	for i := range 2 {
		d := fmt.Sprint("d", i)
		run(t, "link", "add", d, "type", "veth", "peer", "name", "p"+d)
		run(t, "link", "set", "p"+d, "up")
		run(t, "link", "set", d, "up")
		run(t, "address", "add", fmt.Sprintf("192.0.%d.1/24", 2+i), "dev", d)
		run(t, "address", "add", fmt.Sprintf("fd0%d::1/64", i), "dev", d, "nodad")
	}
	links := open(t)
	settle(r)
	return r, func(name string) uint32 {
		t.Helper()
		info, err := links.Get(name)
		must(t, err)
		return uint32(info.Index)
	}
}

// changesOf runs a command and returns the changes that it causes.
func changesOf(t *testing.T, r RouteWatcher, command string) []netip.Prefix {
	t.Helper()
	run(t, strings.Fields(command)...)
	return settle(r)
}

// settle returns the changes until none is reported for a while.
func settle(r RouteWatcher) (list []netip.Prefix) {
	for {
		select {
		case <-r.Changed():
			list = append(list, r.Changes()...)
		case <-time.After(200 * time.Millisecond):
			return list
		}
	}
}

func ask(t *testing.T, r RouteWatcher, q Question) Route {
	t.Helper()
	answers := make([]Route, 1)
	must(t, r.Ask([]Question{q}, answers))
	return answers[0]
}

func to(s string) Question { return Question{Remote: netip.MustParseAddrPort(s), Port: 1234} }

// An answer has the interface, the gateway, and the source that the kernel would
// choose (A52).
func TestAsk(t *testing.T) {
	r, index := twoLinks(t)
	if ask(t, r, to("198.51.100.1:7")).Found {
		t.Error("a route was found, but there is none")
	}
	for _, line := range []string{
		"route add 198.51.100.0/24 via 192.0.2.9", "route add fd09::/64 via fd00::9", "route add 198.51.101.0/24 via inet6 fd01::9",
		"route add blackhole 203.0.113.0/24", "route add unreachable 203.0.114.0/24", "route add prohibit 203.0.115.0/24",
	} {
		run(t, strings.Fields(line)...)
	}
	for _, c := range []struct{ to, dev, gateway, source string }{
		{"192.0.3.9:7", "d1", "", "192.0.3.1"},
		{"[::ffff:192.0.3.9]:7", "d1", "", "192.0.3.1"}, // A54
		{"198.51.100.1:7", "d0", "192.0.2.9", "192.0.2.1"},
		{"198.51.101.1:7", "d1", "fd01::9", "192.0.3.1"},
		{"[fd09::1]:7", "d0", "fd00::9", "fd00::1"},
		{"[fd01::5]:7", "d1", "", "fd01::1"},
		{"[fe80::5%d1]:7", "d1", "", ""},
		{"[fe80::5%" + fmt.Sprint(index("d0")) + "]:7", "d0", "", ""},
	} {
		got := ask(t, r, to(c.to))
		gateway, source := "", ""
		if got.Gateway.IsValid() {
			gateway = got.Gateway.String()
		}
		if c.source != "" {
			source = got.Source.String()
		}
		if !got.Found || got.Local || got.Interface != index(c.dev) || gateway != c.gateway || source != c.source || !got.Running || got.MTU != 1500 {
			t.Errorf("%s: %+v", c.to, got)
		}
	}
	for _, nowhere := range []string{"203.0.113.1:7", "203.0.114.1:7", "203.0.115.1:7", "[fd77::1]:7"} {
		if got := ask(t, r, to(nowhere)); got != (Route{}) {
			t.Errorf("%s: %+v", nowhere, got)
		}
	}
	for _, own := range []string{"192.0.2.1:7", "[fd01::1]:7"} {
		if !ask(t, r, to(own)).Local {
			t.Errorf("%s is not local", own)
		}
	}
	q := to("198.51.100.1:7")
	q.Source = netip.MustParseAddr("10.77.0.1")
	if ask(t, r, q).Found {
		t.Error("a route was found from an address that the host does not have")
	}
}

// A question names everything that the host's rules may refer to: the mark (A53), the
// protocol, both ports, the source (A52).
func TestAskObeysRules(t *testing.T) {
	r, index := twoLinks(t)
	for _, line := range []string{
		"route add 198.51.100.0/24 via 192.0.2.9", "route add 198.51.100.0/24 via 192.0.3.9 table 7",
		"-6 route add fd09::/64 via fd00::9", "-6 route add fd09::/64 via fd01::9 table 7",
	} {
		run(t, strings.Fields(line)...)
	}
	for _, family := range []struct{ flag, to, source string }{{"-4", "198.51.100.1:77", "192.0.3.1"}, {"-6", "[fd09::1]:77", "fd01::1"}} {
		plain := to(family.to)
		marked, fromPort, toPort, fromSource := plain, plain, plain, plain
		marked.Mark, fromPort.Port = 5, 99
		toPort.Remote = netip.AddrPortFrom(plain.Remote.Addr(), 78)
		fromSource.Source = netip.MustParseAddr(family.source)
		for _, c := range []struct {
			rule string
			q    Question
		}{
			{"fwmark 5", marked},
			{"ipproto udp dport 78", toPort},
			{"ipproto udp sport 99", fromPort},
			{"ipproto udp", plain},
			{"from " + family.source, fromSource},
		} {
			if got := ask(t, r, c.q); got.Interface != index("d0") {
				t.Fatalf("%s without the rule: %+v", c.rule, got)
			}
			line := strings.Fields(family.flag + " rule add " + c.rule + " lookup 7")
			run(t, line...)
			if got := ask(t, r, c.q); got.Interface != index("d1") {
				t.Errorf("%s %s: %+v", family.flag, c.rule, got)
			}
			line[2] = "del"
			run(t, line...)
		}
	}
}

// The MTU that a route names is that of the path, unless the interface has a smaller one.
func TestAskForThePathMTU(t *testing.T) {
	r, _ := twoLinks(t)
	for _, line := range []string{
		"route add 198.51.100.0/24 via 192.0.2.9 mtu 1400", "route add 198.51.101.0/24 via 192.0.2.9 mtu lock 1300",
		"route add 198.51.102.0/24 via 192.0.2.9 mtu 1500", "route add 198.51.103.0/24 via 192.0.2.9 mtu 9000",
		"-6 route add fd09::/64 via fd00::9 mtu 1280",
	} {
		run(t, strings.Fields(line)...)
	}
	for at, want := range map[string]int{
		"198.51.100.1:7": 1400, "198.51.101.1:7": 1300, "198.51.102.1:7": 0, "198.51.103.1:7": 0, "[fd09::1]:7": 1280,
		"192.0.2.9:7": 0, "[fd00::9]:7": 0,
	} {
		if got := ask(t, r, to(at)); !got.Found || got.PathMTU != want || got.Reported {
			t.Errorf("%s: %+v, want the MTU %d, which no ICMP reported", at, got, want)
		}
	}
}

// Many questions are answered in order, also if there are no routes for some.
func TestAskManyAtOnce(t *testing.T) {
	r, index := twoLinks(t)
	var questions []Question
	for i := range MaxQuestions {
		questions = append(questions, to([]string{"192.0.2.5:1", "192.0.3.5:1", "203.0.113.1:1", "[fd01::5]:1", "[fd77::1]:1"}[i%5]))
	}
	for n := range MaxQuestions + 1 {
		answers := make([]Route, MaxQuestions)
		must(t, r.Ask(questions[:n], answers))
		for i := range n {
			want := []uint32{index("d0"), index("d1"), 0, index("d1"), 0}[i%5]
			if answers[i].Interface != want || answers[i].Found != (want != 0) {
				t.Fatalf("%d of %d: %+v", i, n, answers[i])
			}
		}
	}
	if r.Ask(make([]Question, MaxQuestions+1), make([]Route, MaxQuestions+1)) == nil {
		t.Error("more than MaxQuestions were answered")
	}
	r.Close()
	if r.Ask(questions, make([]Route, MaxQuestions)) == nil {
		t.Error("answered after Close")
	}
}

// With Entry, a route by an interface is found only if an entry leads there. The
// kernel itself would look for a neighbour (A52).
func TestAskForEntries(t *testing.T) {
	r, index := twoLinks(t)
	for _, line := range []string{
		"route add 198.51.100.0/24 via 192.0.2.9 metric 10", "route add 198.51.100.0/24 via 192.0.3.9 metric 20",
		"route add 198.51.101.0/24 via 192.0.2.9", "route add default via 192.0.3.9",
		"route add fd09::/64 via fd00::9 metric 10", "route add fd09::/64 via fd01::9 metric 20",
		"route add 198.51.102.0/24 nexthop via 192.0.2.9 nexthop via 192.0.3.9",
	} {
		run(t, strings.Fields(line)...)
	}
	run(t, "route", "del", "default")
	entry := func(s, dev string) Route {
		q := to(s)
		q.Entry = true
		if dev != "" {
			q.Interface = index(dev)
		}
		return ask(t, r, q)
	}
	for _, s := range []string{"198.51.100.1:7", "[fd09::1]:7"} {
		best, other := entry(s, ""), entry(s, "d1")
		if best.Interface != index("d0") || other.Interface != index("d1") || best.Table != other.Table || best.Bits != other.Bits ||
			best.Bits != map[bool]int{true: 24, false: 64}[s[0] != '['] {
			t.Errorf("%s: %+v, %+v", s, best, other)
		}
	}
	if got := entry("198.51.101.1:7", "d1"); got.Found {
		t.Errorf("found by d1, where no entry leads: %+v", got)
	}
	run(t, "route", "add", "default", "via", "192.0.3.9")
	if got := entry("198.51.101.1:7", "d1"); !got.Found || got.Bits != 0 {
		t.Errorf("the default route: %+v", got)
	}
	if got := entry("198.51.102.1:7", "d1"); !got.Found || got.Bits != 24 {
		t.Errorf("one of two next hops: %+v", got)
	}
}

// A change is reported with its prefix, or its family.
func TestChanges(t *testing.T) {
	r, _ := twoLinks(t)
	prefix := netip.MustParsePrefix
	for _, c := range []struct {
		command string
		want    []netip.Prefix
	}{
		{"route add 198.51.100.0/24 via 192.0.2.9", []netip.Prefix{prefix("198.51.100.0/24")}},
		{"route replace 198.51.100.0/24 via 192.0.3.9", []netip.Prefix{prefix("198.51.100.0/24")}},
		{"route del 198.51.100.0/24", []netip.Prefix{prefix("198.51.100.0/24")}},
		{"route add 198.51.100.7 dev d0", []netip.Prefix{prefix("198.51.100.7/32")}},
		{"route add default via 192.0.2.9", []netip.Prefix{AllIPv4}},
		{"-6 route add fd09::/64 dev d0", []netip.Prefix{prefix("fd09::/64")}},
		{"-6 route add default via fd00::9", []netip.Prefix{AllIPv6}},
		{"rule add fwmark 5 table 7", []netip.Prefix{AllIPv4}},
		{"-6 rule add fwmark 5 table 7", []netip.Prefix{AllIPv6}},
		{"address add fe80::7/64 dev d0 nodad", []netip.Prefix{prefix("fe80::/10")}},
		{"tuntap add d9 mode tun", nil},
		{"link set d9 down", nil},
		{"link set d9 alias nine", nil},
	} {
		got := changesOf(t, r, c.command)
		for _, p := range c.want {
			if !slices.Contains(got, p) {
				t.Errorf("%s: %v, want %v", c.command, got, p)
			}
		}
		for _, p := range got {
			if all := p.Bits() == 0; all && !slices.Contains(c.want, p) || len(c.want) == 0 {
				t.Errorf("%s: %v, want %v", c.command, got, c.want)
			}
		}
	}
	for command, want := range map[string][]netip.Prefix{
		"address add 192.0.2.99/24 dev d0":     {AllIPv4},
		"address add fd00::99/64 dev d0 nodad": {AllIPv6},
		"link set d1 down":                     {AllIPv4, AllIPv6},
	} {
		for _, p := range want {
			if got := changesOf(t, r, command); !slices.Contains(got, p) {
				t.Errorf("%s: %v, want %v", command, got, p)
			}
			if len(want) > 1 {
				run(t, "link", "set", "d1", "up")
				settle(r)
			} else {
				run(t, strings.Fields(strings.Replace(command, " add ", " del ", 1))...)
				settle(r)
			}
		}
	}
	if got := changesOf(t, r, "nexthop add id 1 via 192.0.2.9 dev d0"); !slices.Contains(got, AllIPv4) {
		t.Errorf("a next hop: %v", got)
	}
	for i := range 2 * maxChanges {
		run(t, "route", "add", fmt.Sprintf("198.51.100.%d", i+100), "dev", "d0")
	}
	if got := r.Changes(); len(got) > maxChanges || !slices.Contains(got, AllIPv4) {
		t.Errorf("many: %v", got)
	}
	if r.Changes() != nil {
		t.Error("changes are returned twice")
	}
}

// Extending the lifetime of an address is no change.
func TestLifetimeOfAnAddress(t *testing.T) {
	r, _ := twoLinks(t)
	run(t, strings.Fields("address add fd00::9/64 dev d0 nodad valid_lft 1000 preferred_lft 1000")...)
	settle(r)
	changesOf(t, r, "address change fd00::9/64 dev d0 nodad valid_lft 2000 preferred_lft 2000") // the first time, its routes change, too
	if got := changesOf(t, r, "address change fd00::9/64 dev d0 nodad valid_lft 3000 preferred_lft 3000"); slices.Contains(got, AllIPv6) {
		t.Errorf("%v", got)
	}
}

// An answer says whether the interface is a tunnel, and the MTU is followed (A46).
func TestRouteIntoATunnel(t *testing.T) {
	r, _ := twoLinks(t)
	newTUN(t, "t0")
	run(t, "link", "set", "t0", "mtu", "1420", "up")
	run(t, "route", "add", "198.51.100.0/24", "dev", "t0")
	run(t, "tuntap", "add", "t1", "mode", "tap")
	run(t, "link", "set", "t1", "up")
	run(t, "route", "add", "198.51.101.0/24", "dev", "t1")
	settle(r)
	if got := ask(t, r, to("198.51.100.1:7")); !got.Tunnel || got.MTU != 1420 || !got.Running {
		t.Errorf("%+v", got)
	}
	for _, other := range []string{"192.0.2.9:7", "198.51.101.1:7"} {
		if got := ask(t, r, to(other)); got.Tunnel || got.MTU != 1500 {
			t.Errorf("%s: %+v", other, got)
		}
	}
	if got := changesOf(t, r, "link set t0 mtu 1280"); !slices.Contains(got, AllIPv4) {
		t.Errorf("another MTU: %v", got)
	}
	if got := ask(t, r, to("198.51.100.1:7")); got.MTU != 1280 {
		t.Errorf("%+v", got)
	}
	// A watcher that starts later knows the same.
	late, err := WatchRoutes()
	must(t, err)
	defer late.Close()
	if got := ask(t, late, to("198.51.100.1:7")); !got.Tunnel || got.MTU != 1280 {
		t.Errorf("%+v", got)
	}
}

// After events were lost, all routes may have changed, and the interfaces are read
// again.
func TestRoutesAfterLostEvents(t *testing.T) {
	watcher, _ := twoLinks(t)
	r := watcher.(*routes)
	newTUN(t, "t0")
	run(t, "link", "set", "t0", "up")
	run(t, "route", "add", "198.51.100.0/24", "dev", "t0")
	settle(r)
	r.mu.Lock()
	clear(r.interfaces)
	r.mu.Unlock()
	if !r.handle(received{overrun: true}) || !slices.Equal(r.Changes(), []netip.Prefix{AllIPv4, AllIPv6}) {
		t.Error("not everything counts as changed")
	}
	if got := ask(t, r, to("198.51.100.1:7")); !got.Tunnel {
		t.Errorf("%+v", got)
	}
}

func TestAskAllocatesNothing(t *testing.T) {
	r, _ := twoLinks(t)
	questions, answers := make([]Question, MaxQuestions), make([]Route, MaxQuestions)
	for i := range questions {
		questions[i] = to([]string{"192.0.2.9:7", "[fd01::9]:7"}[i%2])
		questions[i].Mark = 7
	}
	allocations := testing.AllocsPerRun(100, func() { must(t, r.Ask(questions, answers)) })
	if allocations > 0 {
		t.Errorf("%v allocations for %d questions", allocations, MaxQuestions)
	}
}

func FuzzRouteMessages(f *testing.F) {
	f.Add([]byte{})
	f.Add(appendQuestion(nil, 7, &Question{Remote: netip.MustParseAddrPort("192.0.2.1:7"), Source: netip.MustParseAddr("192.0.2.9"), Interface: 3, Mark: 5},
		func(string) uint32 { return 0 }))
	f.Add(binary.NativeEndian.AppendUint16(make([]byte, unix.SizeofRtMsg), 3))
	f.Fuzz(func(t *testing.T, b []byte) {
		r := &routes{interfaces: map[uint32]networkInterface{}, addresses: map[address]uint32{}}
		for _, kind := range []uint16{unix.RTM_NEWROUTE, unix.RTM_NEWADDR, unix.RTM_DELADDR, unix.RTM_NEWLINK, unix.RTM_DELLINK, unix.RTM_NEWRULE} {
			switch kind {
			case unix.RTM_NEWROUTE:
				r.handleRoute(b)
				parseRoute(b)
			case unix.RTM_NEWADDR, unix.RTM_DELADDR:
				r.handleAddress(kind, b)
			case unix.RTM_NEWLINK, unix.RTM_DELLINK:
				r.handleLink(kind, b)
			case unix.RTM_NEWRULE:
				r.note(anyOf(b)...)
			}
		}
		for _, p := range r.pending {
			if !p.IsValid() {
				t.Fatal(p)
			}
		}
	})
}

func BenchmarkAsk(b *testing.B) {
	a, err := newAsker()
	if err != nil {
		b.Fatal(err)
	}
	defer a.close()
	questions, answers := make([]Question, MaxQuestions), make([]Route, MaxQuestions)
	for i := range questions {
		questions[i] = to("127.0.0.1:7")
	}
	for b.Loop() {
		if err := a.ask(questions, answers, nil); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*MaxQuestions), "ns/question")
}
