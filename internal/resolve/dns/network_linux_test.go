package dns_test

import (
	"context"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"testing"

	"wgd/internal/resolve/dns"
	"wgd/internal/resolve/dns/dnstest"
	"wgd/internal/sys/netns/netnstest"
)

// run runs a command, whose words are separated by spaces, in the network namespace
// of the calling thread.
func run(t *testing.T, command string) {
	t.Helper()
	words := strings.Fields(command)
	if out, err := exec.Command(words[0], words[1:]...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v: %s", command, err, out)
	}
}

// Questions with a mark take the way that a rule gives to the mark; the default
// route, which may lead into a tunnel, is tried second (A53).
func TestMark(t *testing.T) {
	netnstest.Isolate(t)
	home := netnstest.Here(t)
	run(t, "ip link set lo up")
	// Two name servers have the same address: one behind the tunnel, one outside.
	server := func(device, addr string) *dnstest.Server {
		ns := netnstest.Another(t)
		run(t, "ip link add "+device+" type veth peer name peer-"+device)
		run(t, "ip addr add "+addr+"/24 dev "+device)
		run(t, "ip link set "+device+" up")
		moveLink(t, "peer-"+device, ns)
		netnstest.Enter(t, ns)
		defer netnstest.Enter(t, home)
		run(t, "ip addr add 192.0.2.53/32 dev peer-"+device)
		run(t, "ip link set peer-"+device+" up")
		run(t, "ip route add default dev peer-"+device)
		return dnstest.StartAt(t, netip.MustParseAddrPort("192.0.2.53:53"))
	}
	tunnel, outside := server("tunnel", "10.0.1.1"), server("outside", "10.0.2.1")
	run(t, "ip route add default dev tunnel")
	run(t, "ip route add default dev outside table 100")
	run(t, "ip rule add fwmark 7 lookup 100")
	tunnel.SetAddrs("a.example", 10, "192.0.2.1")
	outside.SetAddrs("a.example", 10, "192.0.2.2")

	c := dns.New(outside.Files(t, "nameserver 192.0.2.53", "options timeout:1 single-request")) // in this thread, and so in this namespace
	lookup := func(when, want string) {
		t.Helper()
		if got := text(c.Lookup(context.Background(), "a.example")); got != want {
			t.Errorf("%s: got %q, want %q", when, got, want)
		}
	}
	lookup("without a mark", "192.0.2.1 10s")
	c.SetMark(7)
	lookup("with a mark", "192.0.2.2 10s")
	outside.Set("a.example", dnstest.Entry{Silent: true})
	lookup("the server outside does not answer", "192.0.2.1 10s")
	outside.SetAddrs("a.example", 10, "192.0.2.2")
	outside.Set("a.example", dnstest.Entry{Addrs: addrs("192.0.2.2"), TTL: 10, Cut: true})
	lookup("with a mark, over TCP", "192.0.2.2 10s")
}

// The upstream servers of systemd-resolved are asked when it does not answer itself,
// as when they are silent, or cannot tell, as when it has no route to them.
func TestUpstream(t *testing.T) {
	netnstest.Isolate(t)
	run(t, "ip link set lo up")
	run(t, "ip addr add 192.0.2.53/32 dev lo")
	stub := dnstest.Start(t)
	upstream := dnstest.StartAt(t, netip.AddrPortFrom(netip.MustParseAddr("192.0.2.53"), stub.Addr.Port()))
	stub.SetAddrs("a.example", 10, "192.0.2.1")
	upstream.SetAddrs("a.example", 10, "192.0.2.2")
	upstream.SetAddrs("b.example", 10, "192.0.2.2")
	files := stub.Files(t, "nameserver 127.0.0.1", "options timeout:1 single-request") // in this thread, and so in this namespace
	dnstest.Write(t, files.Upstream, "nameserver "+upstream.Addr.Addr().String())
	c := dns.New(files)
	if got := text(c.Lookup(context.Background(), "a.example")); got != "192.0.2.1 10s" {
		t.Errorf("it answers: %s", got)
	}
	if got := text(c.Lookup(context.Background(), "b.example")); got != "not found" {
		t.Errorf("it knows that there is none: %s", got)
	}
	stub.Set("a.example", dnstest.Entry{RCode: 2}) // SERVFAIL
	if got := text(c.Lookup(context.Background(), "a.example")); got != "192.0.2.2 10s" {
		t.Errorf("it cannot tell: %s", got)
	}
	stub.Set("a.example", dnstest.Entry{Silent: true})
	for range 2 {
		if got := text(c.Lookup(context.Background(), "a.example")); got != "192.0.2.2 10s" {
			t.Errorf("it does not answer: %s", got)
		}
	}
}

// moveLink moves a link into a namespace, of which we have only the file.
func moveLink(t *testing.T, link string, ns *os.File) {
	t.Helper()
	cmd := exec.Command("ip", "link", "set", link, "netns", "/proc/self/fd/3")
	cmd.ExtraFiles = []*os.File{ns}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %v: %s", cmd, err, out)
	}
}
