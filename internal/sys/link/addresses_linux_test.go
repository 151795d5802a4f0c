package link

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"wgd/internal/sys/netns/netnstest"

	"golang.org/x/sys/unix"
)

// addressesByIP returns what ip(8) reports about the addresses of wg0.
func addressesByIP(t *testing.T) string {
	t.Helper()
	out, err := exec.Command("ip", "-o", "address", "show", "dev", "wg0").CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return string(out)
}

var seconds = regexp.MustCompile(`(\d+)sec`)

// sameAddresses compares two such reports. Lifetimes may have become shorter.
func sameAddresses(before, after string) bool {
	were, are := seconds.FindAllStringSubmatch(before, -1), seconds.FindAllStringSubmatch(after, -1)
	if seconds.ReplaceAllString(before, "") != seconds.ReplaceAllString(after, "") || len(were) != len(are) {
		return false
	}
	for i := range were {
		was, _ := strconv.Atoi(were[i][1])
		is, _ := strconv.Atoi(are[i][1])
		if is > was || is < was-20 {
			return false
		}
	}
	return true
}

func get(t *testing.T, links *Links) []Address {
	t.Helper()
	info, err := links.Get("wg0")
	must(t, err)
	return info.Addresses
}

func find(t *testing.T, list []Address, text string) Address {
	t.Helper()
	i := slices.IndexFunc(list, func(a Address) bool { return a.String() == text })
	if i < 0 {
		t.Fatalf("no %s in %v", text, list)
	}
	return list[i]
}

// Deleting an address deletes no other one of its network, not even for a moment: the
// kernel reports one deletion, and the route gets another source.
func TestDeleteOneOfANetwork(t *testing.T) {
	netnstest.Isolate(t)
	links := open(t)
	newTUN(t, "wg0")
	must(t, links.NoAutomaticAddress("wg0"))
	run(t, "link", "set", "wg0", "up")
	for i := range 4 {
		run(t, "address", "add", fmt.Sprintf("10.0.0.%d/24", i+1), "dev", "wg0")
	}
	events, err := subscribe(unix.RTNLGRP_IPV4_IFADDR)
	must(t, err)
	defer events.close()
	for _, c := range []struct{ delete, left, source string }{
		{"10.0.0.1/24", "10.0.0.2/24 10.0.0.3/24 10.0.0.4/24", "10.0.0.2"},
		{"10.0.0.3/24", "10.0.0.2/24 10.0.0.4/24", "10.0.0.2"},
		{"10.0.0.2/24", "10.0.0.4/24", "10.0.0.4"},
		{"10.0.0.4/24", "", ""},
	} {
		must(t, links.DeleteAddress("wg0", find(t, get(t, links), c.delete)))
		var left []string
		for _, a := range get(t, links) {
			left = append(left, a.String())
		}
		if got := strings.Join(left, " "); got != c.left {
			t.Errorf("%s deleted: %q are left, want %q", c.delete, got, c.left)
		}
		route, _ := exec.Command("ip", "route", "show", "10.0.0.0/24").Output()
		if got := strings.TrimSpace(string(route)); c.source != "" && !strings.HasSuffix(got, "src "+c.source) || c.source == "" && got != "" {
			t.Errorf("%s deleted: the route is %q", c.delete, got)
		}
		if n := deletions(t, events); n != 1 {
			t.Errorf("%s deleted: %d deletions", c.delete, n)
		}
	}
}

// deletions returns how many deletions of addresses were reported so far.
func deletions(t *testing.T, events *subscription) (n int) {
	t.Helper()
	run(t, "address", "add", "192.0.2.1/32", "dev", "lo") // the last report
	for {
		news, err := events.receive()
		must(t, err)
		for _, message := range news.messages {
			a, _, err := parseAddress(message.Data)
			must(t, err)
			switch {
			case message.Header.Type == unix.RTM_DELADDR && a.Prefix.Addr() != netip.MustParseAddr("192.0.2.1"):
				n++
			case message.Header.Type == unix.RTM_NEWADDR && a.Prefix.Addr() == netip.MustParseAddr("192.0.2.1"):
				run(t, "address", "del", "192.0.2.1/32", "dev", "lo")
				return n
			}
		}
	}
}

// The same address with another peer is another address, in both families, and only
// the given one is deleted.
func TestPeerAddresses(t *testing.T) {
	netnstest.Isolate(t)
	links := open(t)
	newTUN(t, "wg0")
	must(t, links.NoAutomaticAddress("wg0"))
	run(t, "link", "set", "wg0", "up")
	all := []string{"192.168.2.1 peer 192.168.2.2/32", "192.168.2.1 peer 192.168.2.3/32", "192.168.3.1 peer 192.168.3.2/24", "192.168.4.1/24",
		"fd00::5/64", "fd00::1 peer fd00::2/128"}
	for _, a := range all {
		run(t, append([]string{"address", "add", "dev", "wg0"}, strings.Fields(a)...)...)
	}
	for len(all) > 0 {
		var got []string
		for _, a := range get(t, links) {
			got = append(got, a.String())
		}
		if slices.Sort(got); !slices.Equal(got, slices.Sorted(slices.Values(all))) {
			t.Fatalf("%q, want %q", got, all)
		}
		i := rand.IntN(len(all))
		must(t, links.DeleteAddress("wg0", find(t, get(t, links), all[i])))
		all = slices.Delete(all, i, i+1)
	}
}

// Setting the interface down and up keeps its addresses, with all their attributes and
// in their order, also if some were deleted and others added meanwhile.
func TestSetAddresses(t *testing.T) {
	netnstest.Isolate(t)
	links := open(t)
	newTUN(t, "wg0")
	must(t, links.NoAutomaticAddress("wg0"))
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	dice := rand.New(rand.NewPCG(seed, 0))
	for range 12 {
		run(t, "address", "flush", "dev", "wg0")
		run(t, "link", "set", "wg0", "up")
		some(t, dice)
		before, told := get(t, links), addressesByIP(t)
		switch dice.IntN(3) {
		case 0:
			run(t, "link", "set", "wg0", "down")
		case 1:
			run(t, "link", "set", "wg0", "mtu", "1000")
			must(t, links.SetMTU("wg0", 1420))
		case 2:
			for _, a := range before {
				if dice.IntN(2) == 0 {
					must(t, links.DeleteAddress("wg0", a))
				}
			}
			run(t, "address", "add", "10.200.0.1/16", "dev", "wg0")
			run(t, "address", "add", "fd00:99::1/64", "dev", "wg0")
		}
		must(t, links.SetAddresses("wg0", before))
		if after := addressesByIP(t); !sameAddresses(told, after) {
			t.Fatalf("before:\n%s\nafter:\n%s", told, after)
		}
	}
}

// some adds a few addresses to wg0 with ip(8).
func some(t *testing.T, dice *rand.Rand) {
	t.Helper()
	for i := range 2 + dice.IntN(8) {
		args := []string{"address", "add", "dev", "wg0"}
		if is4 := dice.IntN(2) == 0; is4 {
			own := fmt.Sprintf("10.%d.0.%d", dice.IntN(2), i+1)
			switch dice.IntN(4) {
			case 0:
				args = append(args, own, "peer", fmt.Sprintf("10.9.%d.9/%d", i, 24+8*dice.IntN(2)))
			case 1:
				args = append(args, fmt.Sprintf("10.7.%d.1/24", i), "scope", "link")
			default:
				args = append(args, own+"/24")
			}
			args = append(args, [][]string{nil, {"label", "wg0:x"}, {"broadcast", "10.0.0.255"}}[dice.IntN(3)]...)
		} else {
			own := fmt.Sprintf("fd00:%d::%d", dice.IntN(2), i+1)
			switch dice.IntN(4) {
			case 0:
				args = append(args, own, "peer", fmt.Sprintf("fd00:9::%d/128", i+1))
			case 1:
				args = append(args, fmt.Sprintf("fe80::%d/64", i+1))
			default:
				args = append(args, own+"/64")
			}
			args = append(args, "nodad")
		}
		if dice.IntN(3) == 0 {
			args = append(args, "metric", strconv.Itoa(1+dice.IntN(999)))
		}
		if dice.IntN(3) == 0 {
			args = append(args, "noprefixroute")
		}
		if dice.IntN(3) == 0 {
			args = append(args, "valid_lft", strconv.Itoa(500+dice.IntN(500)), "preferred_lft", strconv.Itoa(dice.IntN(400)))
		}
		run(t, args...)
	}
}

// An address in the last second of its lifetime need not be added again.
func TestSetAddressesOfOneThatEnds(t *testing.T) {
	netnstest.Isolate(t)
	links := open(t)
	newTUN(t, "wg0")
	for range 10 {
		run(t, "address", "add", "fd00::1/64", "dev", "wg0", "valid_lft", "2", "preferred_lft", "1")
		for list := get(t, links); len(list) > 0; list = get(t, links) {
			if list[0].expired() {
				run(t, "address", "flush", "dev", "wg0")
				must(t, links.SetAddresses("wg0", list))
				return
			}
			time.Sleep(20 * time.Millisecond)
		}
	}
	t.Fatal("no address was seen in its last second: this test proves nothing")
}

// sent returns the packets that the kernel sends through the interface.
func sent(d *tunFile) <-chan []byte {
	packets := make(chan []byte, 100)
	fd := int(d.f.Fd())
	_ = unix.SetNonblock(fd, false)
	go func() {
		for {
			b := make([]byte, 2000)
			n, err := unix.Read(fd, b)
			if err == unix.EINTR {
				continue
			}
			if err != nil {
				close(packets)
				return
			}
			packets <- b[:n]
		}
	}()
	return packets
}

// When IPv6 starts again on an interface that is up, no router solicitation is sent,
// and no address is added automatically. (With ip(8), both happen.)
func TestSetMTUAsksForNoRouters(t *testing.T) {
	netnstest.Isolate(t)
	links := open(t)
	d := newTUN(t, "wg0")
	packets := sent(d)
	must(t, links.NoAutomaticAddress("wg0"))
	run(t, "address", "add", "10.0.0.1/24", "dev", "wg0")
	run(t, "link", "set", "wg0", "up")
	run(t, "route", "add", "10.9.0.0/24", "dev", "wg0")
	before := addressesByIP(t)
	for _, raise := range []func(){
		func() { must(t, links.SetMTU("wg0", 1420)) },
		func() { must(t, links.SetMTU("wg0", 9000)) },
		func() {
			run(t, "link", "set", "wg0", "down")
			must(t, links.SetMTU("wg0", 1420))
			run(t, "link", "set", "wg0", "up")
			run(t, "route", "add", "10.9.0.0/24", "dev", "wg0")
		},
	} {
		must(t, links.SetMTU("wg0", 1000))
		raise()
		select {
		case p := <-packets:
			t.Errorf("sent: %x", p)
		case <-time.After(300 * time.Millisecond):
		}
		if after := addressesByIP(t); after != before {
			t.Errorf("addresses:\n%s\nwant:\n%s", after, before)
		}
		if route, _ := exec.Command("ip", "route", "show", "10.9.0.0/24").Output(); len(route) == 0 {
			t.Error("the route is gone")
		}
		if info, err := links.Get("wg0"); err != nil || !info.Up || !info.Running {
			t.Errorf("%+v, %v", info, err)
		}
		run(t, "address", "add", "fd00::1/64", "dev", "wg0") // IPv6 works
		run(t, "address", "del", "fd00::1/64", "dev", "wg0")
	}
	for range 10 {
		run(t, "link", "set", "wg0", "mtu", "1000")
		run(t, "link", "set", "wg0", "mtu", "1420")
		select {
		case p := <-packets:
			if p[0]>>4 != 6 || p[40] != 133 {
				t.Errorf("sent by ip(8): %x", p)
			}
			return
		case <-time.After(2 * time.Second):
		}
	}
	t.Error("with ip(8), the kernel solicits no routers either: this test proves nothing")
}

// If that was done with ip(8), the watcher removes the address, and keeps the kernel from
// adding another one when the interface goes up the next time.
func TestWatchForgetsAutomaticAddresses(t *testing.T) {
	netnstest.Isolate(t)
	links := open(t)
	d := newTUN(t, "wg0")
	must(t, links.NoAutomaticAddress("wg0"))
	run(t, "link", "set", "wg0", "mtu", "1420", "up")
	w := watch(t, d)
	expect(t, w, State{MTU: 1420, Up: true})
	for _, up := range []bool{true, false} {
		if !up {
			run(t, "link", "set", "wg0", "down")
			expect(t, w, State{MTU: 1420})
		}
		run(t, "link", "set", "wg0", "mtu", "1000")
		expect(t, w, State{MTU: 1000, Up: up})
		run(t, "link", "set", "wg0", "mtu", "1420")
		expect(t, w, State{MTU: 1420, Up: up})
		mode, err := os.ReadFile("/proc/sys/net/ipv6/conf/wg0/addr_gen_mode")
		if err != nil || strings.TrimSpace(string(mode)) != "1" {
			t.Errorf("up %v: addr_gen_mode %s, %v", up, mode, err)
		}
		if told := addressesByIP(t); told != "" {
			t.Errorf("up %v: addresses:\n%s", up, told)
		}
	}
}

// No message about an address causes a panic.
func FuzzParseAddress(f *testing.F) {
	f.Add([]byte{2, 24, 0x80, 0, 5, 0, 0, 0, 8, 0, 1, 0, 10, 0, 0, 1, 8, 0, 2, 0, 10, 0, 0, 1})
	f.Add([]byte{10, 128, 0, 0, 5, 0, 0, 0, 20, 0, 1, 0, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 8, 0, 8, 0, 0x80, 2, 0, 0, 5, 0, 11, 0, 3, 0, 0, 0})
	f.Add([]byte{2, 24, 0, 0, 5, 0, 0, 0, 3, 0, 8, 0})
	f.Fuzz(func(t *testing.T, message []byte) {
		a, _, err := parseAddress(message)
		if err == nil && a.Prefix.IsValid() {
			_ = a.String()
			a.expired()
			inOrder([]Address{a, a}, false)
		}
	})
}
