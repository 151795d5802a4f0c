package dns_test

import (
	"context"
	"flag"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"wgd/internal/resolve/dns"
	"wgd/internal/resolve/dns/dnstest"
	"wgd/internal/sys/netns/netnstest"
)

var lookup = flag.String("lookup", "", "what TestGoLooksUp looks up")

// The C library, Go's own resolver and ours find the same addresses, except where we
// differ on purpose.
func TestLikeOthers(t *testing.T) {
	netnstest.Isolate(t)
	run(t, "ip link set lo up")
	s := dnstest.StartAt(t, netip.MustParseAddrPort("127.0.0.1:53"))
	s.SetAddrs("both.example", 60, "192.0.2.1", "2001:db8::1")
	s.SetAddrs("four.example", 60, "192.0.2.1", "192.0.2.2")
	s.SetAddrs("six.example", 60, "2001:db8::1")
	s.SetAddrs("ninety.example", 60, "192.0.2.9")
	s.Set("alias.example", dnstest.Entry{Alias: "both.example", TTL: 60})
	s.Set("empty.example", dnstest.Entry{})
	s.Set("servfail.example", dnstest.Entry{RCode: 2})
	s.Set("wrong6.example", dnstest.Entry{Addrs: addrs("192.0.2.1"), TTL: 60, RCode6: 3})
	s.Set("broken6.example", dnstest.Entry{Addrs: addrs("192.0.2.1"), TTL: 60, RCode6: 2})
	s.Set("cut.example", dnstest.Entry{Addrs: addrs("192.0.2.1", "2001:db8::1"), TTL: 60, Cut: true})
	s.SetAddrs("blocked.example", 60, "0.0.0.0")
	s.SetAddrs("host.one.test", 60, "192.0.2.11")
	s.SetAddrs("host.two.test", 60, "192.0.2.12")
	s.SetAddrs("second.two.test", 60, "192.0.2.13")
	s.Set("sick.one.test", dnstest.Entry{RCode: 2})
	s.SetAddrs("sick.two.test", 60, "192.0.2.14")
	s.Set("sick.er", dnstest.Entry{RCode: 2})
	s.SetAddrs("sick.er.one.test", 60, "192.0.2.15")
	s.Set("nodata.one.test", dnstest.Entry{})
	s.SetAddrs("nodata.two.test", 60, "192.0.2.16")
	s.SetAddrs("a.b", 60, "192.0.2.17")
	s.SetAddrs("a.b.one.test", 60, "192.0.2.18")
	s.SetAddrs("dotted.er", 60, "192.0.2.19")
	s.Set("silent.one.test", dnstest.Entry{Silent: true})
	s.SetAddrs("silent.two.test", 60, "192.0.2.20")
	files := s.Files(t)
	dnstest.Write(t, files.Hosts, "192.0.2.21 inhosts.example inhosts", "2001:db8::21 inhosts.example", "192.0.2.22 four6", "192.0.2.23 four6")
	dnstest.Write(t, files.NSSwitch, "hosts: files dns")
	c := dns.New(files)

	hosts := []string{"both.example", "BOTH.example", "both.example.", "four.example", "six.example", "alias.example", "empty.example",
		"servfail.example", "wrong6.example", "broken6.example", "cut.example", "blocked.example", "host", "host.", "second", "sick", "sick.er",
		"nodata", "a.b", "a.b.", "dotted.er", "inhosts.example", "INHOSTS", "four6", "none", "silent"}
	differs := map[string]string{ // what the C library finds and we do not
		"1 blocked.example": "0.0.0.0", // that would be this computer
		"2 blocked.example": "0.0.0.0",
		"1 sick.er":         "192.0.2.15", // this is the host sick.er.one.test, while sick.er may exist
	}
	goDiffers := map[string]string{ // the same of Go's resolver
		"1 silent": "192.0.2.20", // this is silent.two.test, while silent.one.test may exist
	}
	for _, ndots := range []string{"1", "2"} {
		dnstest.Write(t, files.ResolvConf, "nameserver 127.0.0.1", "search one.test two.test",
			"options timeout:1 attempts:1 single-request ndots:"+ndots)
		for _, host := range hosts {
			if host == "silent" && ndots == "2" {
				continue // the same again takes seconds
			}
			name := ndots + " " + host
			var ours string
			if a, err := c.Lookup(context.Background(), host); err == nil {
				ours = list(a.Addresses)
			}
			theirs := ours
			if other := differs[name]; other != "" {
				theirs = other
				if ours != "" {
					t.Errorf("%s: found %s, want nothing", name, ours)
				}
			}
			if got := elsewhere(t, files, "getent", "ahosts", host); got != theirs {
				t.Errorf("%s: the C library finds %q, want %q", name, got, theirs)
			}
			if other := goDiffers[name]; other != "" {
				theirs = other
			}
			if got := elsewhere(t, files, os.Args[0], "-test.run=^TestGoLooksUp$", "-test.v", "-lookup="+host); got != theirs {
				t.Errorf("%s: Go finds %q, want %q", name, got, theirs)
			}
		}
	}
}

func list(addrs []netip.Addr) string {
	var words []string
	for _, a := range addrs {
		words = append(words, a.String())
	}
	slices.Sort(words)
	return strings.Join(slices.Compact(words), " ")
}

// elsewhere runs a command where /etc has the files, and returns the addresses in its
// output.
func elsewhere(t *testing.T, files dns.Files, command ...string) string {
	t.Helper()
	dir := filepath.Dir(files.ResolvConf)
	script := `for f in resolv.conf hosts nsswitch.conf; do mount --bind "$0/$f" /etc/$f || exit 9; done; exec "$@"`
	cmd := exec.Command("unshare", append([]string{"-m", "sh", "-c", script, dir}, command...)...)
	out, err := cmd.Output()
	if cmd.ProcessState == nil || cmd.ProcessState.ExitCode() == 9 {
		t.Fatalf("%v: %v", cmd, err)
	}
	var found []netip.Addr
	for line := range strings.Lines(string(out)) {
		if fields := strings.Fields(line); len(fields) > 0 {
			if a, err := netip.ParseAddr(fields[0]); err == nil {
				found = append(found, a)
			}
		}
	}
	return list(found)
}

// TestGoLooksUp prints what Go's own resolver finds. It is for TestLikeOthers.
func TestGoLooksUp(t *testing.T) {
	if *lookup == "" {
		return
	}
	found, _ := (&net.Resolver{PreferGo: true}).LookupNetIP(context.Background(), "ip", *lookup)
	for _, a := range found {
		fmt.Println(a.Unmap())
	}
}
