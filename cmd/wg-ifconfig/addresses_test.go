//go:build linux

package main

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"wgd/internal/control"
)

// output runs a program, which must succeed, and returns its output.
func (h *host) output(line string) string {
	h.t.Helper()
	out, status := h.run(line)
	if status != 0 {
		h.t.Fatalf("%s: exit status %d\n%s", line, status, out)
	}
	return out
}

var remaining = regexp.MustCompile(`\d+sec`)

// addresses returns what ip(8) prints about addresses, without their remaining lifetimes.
func (h *host) addresses() string {
	h.t.Helper()
	return remaining.ReplaceAllString(h.output("ip -o -d address show dev wg0"), "SECONDS")
}

// routes returns the IPv6 routes, without their remaining lifetimes.
func (h *host) routes() string {
	h.t.Helper()
	return remaining.ReplaceAllString(h.output("ip -6 route show dev wg0"), "SECONDS")
}

// waitForOutput waits until get returns want, which the kernel may delay.
func (h *host) waitForOutput(what string, get func() string, want string) {
	h.t.Helper()
	got := ""
	if !control.WaitFor(5*time.Second, func() bool { got = get(); return got == want }) {
		h.compare(what, got, want)
	}
}

func (h *host) compare(what, got, want string) {
	h.t.Helper()
	if got != want {
		h.t.Errorf("%s:\n%s\nwant:\n%s", what, got, want)
	}
}

// As in NetBSD, removing an address does not remove other addresses of its
// network, even if it was the first.
func TestOneAddressOfThreeIsRemoved(t *testing.T) {
	h := newHost(t)
	h.ok("wg-ifconfig wg0 create inet 10.2.0.1/24 inet 10.2.0.2/24 inet 10.2.0.3/24 inet 10.3.0.1/16 up")
	shown := func(addresses ...string) string {
		text := "wg0: flags=0x8041<UP,RUNNING,MULTICAST> mtu 1420\n\tstatus: active\n"
		for _, a := range addresses {
			text += "\tinet " + a + " flags 0\n"
		}
		return text
	}
	h.ok("wg-ifconfig wg0 inet 10.2.0.1 -alias")
	h.prints("wg-ifconfig wg0", 0, shown("10.3.0.1/16", "10.2.0.2/24", "10.2.0.3/24"))
	h.compare("the route", h.output("ip route show 10.2.0.0/24"), "10.2.0.0/24 dev wg0 proto kernel scope link src 10.2.0.2 \n")
	h.ok("wg-ifconfig wg0 inet 10.2.0.2/24 delete inet 10.2.0.9/24")
	h.prints("wg-ifconfig wg0", 0, shown("10.3.0.1/16", "10.2.0.3/24", "10.2.0.9/24"))
	h.ok("wg-ifconfig wg0 destroy")
}

// If the interface has an address with another prefix length or peer, and the
// kernel does not allow both, the error says so and nothing is changed.
func TestConflictingAddress(t *testing.T) {
	h := newHost(t)
	h.ok("wg-ifconfig wg0 create inet 10.2.0.1/24 inet6 fd00:2::1/128 up")
	h.ok("ip address add 192.168.2.1 peer 192.168.2.2/24 dev wg0")
	h.ok("ip address add fd00:3::1 peer fd00:3::2/128 dev wg0 nodad")
	before := h.addresses()
	for line, why := range map[string]string{
		"inet6 fd00:2::1/64":                     "it has the address fd00:2::1 with the prefix length 128: remove that first, with `wg-ifconfig wg0 inet6 fd00:2::1/128 -alias`",
		"inet6 fd00:2::1":                        "it has the address fd00:2::1 with the prefix length 128: remove that first, with `wg-ifconfig wg0 inet6 fd00:2::1/128 -alias`",
		"inet6 fd00:3::1/128":                    "it has the address fd00:3::1 with the peer fd00:3::2: remove that first, with `wg-ifconfig wg0 inet6 fd00:3::1/128 -alias`",
		"inet 192.168.2.1/24":                    "it has the address 192.168.2.1 with the peer 192.168.2.2: remove that first, with `wg-ifconfig wg0 inet 192.168.2.1/24 -alias`",
		"inet6 fd00:9::1/64 inet6 fd00:9::1/128": "it has the address fd00:9::1 with the prefix length 64: remove that first, with `wg-ifconfig wg0 inet6 fd00:9::1/64 -alias`",
		"inet6 ::1/128":                          "add the address ::1/128: the kernel does not accept the value",
	} {
		h.prints("wg-ifconfig wg0 inet 10.9.0.1/24 "+line, 1, "wg-ifconfig: wg0: "+why+"\n")
		h.compare(line, h.addresses(), before)
	}
	// Addresses that exist already, and addresses that the kernel allows in addition.
	h.ok("wg-ifconfig wg0 inet 10.2.0.1/24 inet6 fd00:2::1/128")
	h.compare("the same addresses again", h.addresses(), before)
	h.ok("wg-ifconfig wg0 inet 10.2.0.1/16 inet 192.168.2.1/32")
	// One command replaces an address.
	h.ok("wg-ifconfig wg0 inet6 fd00:2::1/128 -alias inet6 fd00:2::1/64")
	h.compare("IPv6", h.output("wg-ifconfig wg0"), "wg0: flags=0x8041<UP,RUNNING,MULTICAST> mtu 1420\n\tstatus: active\n"+
		"\tinet6 fd00:2::1/64 flags 0\n\tinet6 fd00:3::1/128 -> fd00:3::2 flags 0\n"+
		"\tinet 10.2.0.1/24 flags 0\n\tinet 192.168.2.1/24 -> 192.168.2.2 flags 0\n"+
		"\tinet 10.2.0.1/16 flags 0\n\tinet 192.168.2.1/32 flags 0\n")
	h.ok("wg-ifconfig wg0 destroy")
}

// Addresses that ip(8) added with a peer are shown with it, and can be removed.
func TestAddressesWithPeers(t *testing.T) {
	h := newHost(t)
	h.ok("wg-ifconfig wg0 create up")
	h.ok("ip address add 192.168.2.1 peer 192.168.2.2 dev wg0")
	h.ok("ip address add fd00::1 peer fd00::2 dev wg0 nodad")
	const head = "wg0: flags=0x8041<UP,RUNNING,MULTICAST> mtu 1420\n\tstatus: active\n"
	h.prints("wg-ifconfig wg0", 0, head+"\tinet6 fd00::1/128 -> fd00::2 flags 0\n\tinet 192.168.2.1/32 -> 192.168.2.2 flags 0\n")
	if got := h.output("wg-ifconfig wg0 --json"); !strings.Contains(got, `"addresses": [
    "192.168.2.1/32",
    "fd00::1/128"
  ],
  "point_to_point": [
    {
      "address": "192.168.2.1/32",
      "peer": "192.168.2.2"
    },
    {
      "address": "fd00::1/128",
      "peer": "fd00::2"
    }
  ]
`) {
		t.Error(got)
	}
	h.ok("ip address add fd00:7::1/64 dev wg0 nodad valid_lft 1000 preferred_lft 0")
	if got := h.output("wg-ifconfig wg0"); !strings.Contains(got, "\tinet6 fd00:7::1/64 flags 0x10<DEPRECATED>\n") {
		t.Error(got)
	}
	h.ok("wg-ifconfig wg0 inet6 fd00:7::1 -alias")
	h.ok("wg-ifconfig wg0 inet 192.168.2.1 -alias")
	h.ok("wg-ifconfig wg0 inet6 fd00::1/128 delete")
	h.prints("wg-ifconfig wg0", 0, head)
	h.ok("wg-ifconfig wg0 destroy")
}

// Down, up and a command that is undone keep the addresses as ip(8) added them,
// in their order.
func TestAddressesKeepTheirAttributes(t *testing.T) {
	h := newHost(t)
	h.ok("wg-ifconfig wg0 create up")
	for _, a := range []string{
		"10.2.0.1/24 metric 7 noprefixroute label wg0:x", "10.2.0.2/24", "10.2.0.3/24 valid_lft 1000 preferred_lft 600",
		"192.168.2.1 peer 192.168.2.2", "fd00:1::1 peer fd00:1::2/128 metric 77", "fd00:2::1/64 noprefixroute",
		"fd00:3::1/64 valid_lft 2000 preferred_lft 0", "fd00:4::1/64 metric 9", "fe80::1/64",
	} {
		if strings.Contains(a, "::") {
			a += " nodad"
		}
		h.ok("ip address add dev wg0 " + a)
	}
	before := h.addresses()
	if !control.WaitFor(5*time.Second, func() bool { return strings.Contains(h.routes(), "fd00:1::2") }) {
		t.Fatal("there is no route to the address's peer")
	}
	routes := h.routes()
	h.ok("wg-ifconfig wg0 down")
	h.compare("down", h.addresses(), before)
	h.ok("wg-ifconfig wg0 up")
	h.compare("up", h.addresses(), before)
	h.waitForOutput("IPv6 routes", h.routes, routes)
	h.ok("wg-ifconfig wg0 down up")
	h.compare("down and up", h.addresses(), before)

	out, status := h.run("wg-ifconfig wg0 inet 10.2.0.1 -alias inet6 fd00:3::1 -alias inet 10.2.0.9/24 mtu 1000 mtu 1400 down inet6 ::1/128")
	if status != 1 || !strings.Contains(out, "loses its IPv6 addresses") || !strings.Contains(out, "the kernel does not accept") {
		t.Errorf("exit status %d, %s", status, out)
	}
	h.compare("undone", h.addresses(), before)
	h.waitForOutput("IPv6 routes", h.routes, routes)
	h.ok("wg-ifconfig wg0 destroy")
}

// The display has the flag MULTICAST only if it is set. Without it, resolvers
// send nothing into the tunnel, so an idle tunnel stays idle.
func TestMulticastFlag(t *testing.T) {
	h := newHost(t)
	h.ok("wg-ifconfig wg0 create up")
	h.ok("ip link set wg0 multicast off")
	h.prints("wg-ifconfig wg0", 0, "wg0: flags=0x41<UP,RUNNING> mtu 1420\n\tstatus: active\n")
	h.ok("wg-ifconfig wg0 down")
	h.prints("wg-ifconfig wg0", 0, "wg0: flags=0 mtu 1420\n\tstatus: inactive\n")
	if got := h.output("wg-ifconfig wg0 --json"); !strings.Contains(got, `"multicast": false`) {
		t.Error(got)
	}
	h.ok("wg-ifconfig wg0 up")
	h.ok("ip link set wg0 multicast on")
	h.prints("wg-ifconfig wg0", 0, "wg0: flags=0x8041<UP,RUNNING,MULTICAST> mtu 1420\n\tstatus: active\n")
	h.ok("wg-ifconfig wg0 destroy")
}
