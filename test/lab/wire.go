package lab

import (
	"fmt"
	"os/exec"
	"strings"
)

// Link connects two hosts with a veth pair. Both interfaces are up, and have the
// given addresses.
func Link(a *Host, nameA string, addrsA []string, b *Host, nameB string, addrsB []string) {
	a.t.Helper()
	line := fmt.Sprintf("ip link add name %s netns %d type veth peer name %s netns %d", nameA, a.PID(), nameB, b.PID())
	if out, err := exec.Command("sh", "-c", line).CombinedOutput(); err != nil {
		a.t.Fatalf("%s: %v\n%s", line, err, out)
	}
	a.Address(nameA, addrsA...)
	b.Address(nameB, addrsB...)
	a.ready(nameA)
	b.ready(nameB)
}

// ready waits until the kernel knows that both ends of the link are up, which IPv6 does
// not use before, and until the link-local address is usable, which would otherwise
// appear during the test.
func (h *Host) ready(name string) {
	h.t.Helper()
	h.Must("for i in $(seq 1000); do test $(cat /sys/class/net/%[1]s/operstate) = up && break; sleep 0.01; done; test $i -lt 1000 || exit 1; "+
		"test \"$(cat /proc/sys/net/ipv6/conf/%[1]s/disable_ipv6)\" = 0 || exit 0; "+
		"for i in $(seq 1000); do ip -6 address show dev %[1]s scope link -tentative | grep -q inet6 && exit 0; sleep 0.01; done; exit 1", name)
}

// Address assigns addresses to an interface and brings it up.
func (h *Host) Address(name string, addrs ...string) {
	h.t.Helper()
	var lines []string
	for _, a := range addrs {
		// nodad makes IPv6 addresses usable at once.
		lines = append(lines, "ip addr add "+a+" dev "+name+" nodad")
	}
	h.Must("%s", strings.Join(append(lines, "ip link set "+name+" up"), " && "))
}

// Pair returns two hosts that are connected by eth0 of each. Host a has 192.0.2.1
// and fd01::1, host b has 192.0.2.2 and fd01::2.
func Pair(t T) (a, b *Host) {
	t.Helper()
	a, b = NewHost(t, "a"), NewHost(t, "b")
	Link(a, "eth0", []string{"192.0.2.1/24", "fd01::1/64"}, b, "eth0", []string{"192.0.2.2/24", "fd01::2/64"})
	return a, b
}

// Router makes a host forward packets.
func (h *Host) Router() *Host {
	h.t.Helper()
	h.Must("sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1")
	return h
}

// Switch returns a host with a bridge br0. Plug connects other hosts to it.
func Switch(t T, name string) *Host {
	t.Helper()
	h := NewHost(t, name)
	h.Must("ip link add br0 type bridge && ip link set br0 up")
	return h
}

// Plug connects a new interface of the host to a switch.
func (h *Host) Plug(sw *Host, name string, addrs ...string) {
	h.t.Helper()
	port := "p-" + h.Name + "-" + name
	Link(h, name, addrs, sw, port, nil)
	sw.Must("ip link set %s master br0", port)
}
