package dns_test

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"wgd/internal/asynctest"
	"wgd/internal/resolve/dns"
	"wgd/internal/resolve/dns/dnstest"
)

// text is what a lookup returns, for comparisons: the addresses and TTL, or the
// kind of failure and its TTL.
func text(a dns.Answer, err error) string {
	var e *dns.Error
	if errors.As(err, &e) {
		kind := map[dns.Kind]string{dns.NotFound: "not found", dns.NoAddress: "no address", dns.ServerFailed: "server failed",
			dns.NoAnswer: "no answer", dns.NotAsked: "not asked"}[e.Kind]
		return strings.TrimSpace(kind + " " + ttl(e.TTL))
	}
	var list []string
	for _, addr := range a.Addresses {
		list = append(list, addr.String())
	}
	s := strings.Join(list, " ") + " " + ttl(a.TTL)
	if a.Without6 {
		s += " without IPv6"
	}
	if a.Without4 {
		s += " without IPv4"
	}
	return strings.TrimSpace(s)
}

func ttl(d time.Duration) string {
	if d == 0 {
		return ""
	}
	return d.String()
}

func addrs(list ...string) (result []netip.Addr) {
	for _, s := range list {
		result = append(result, netip.MustParseAddr(s))
	}
	return result
}

// A lookup returns the addresses of both families with the least TTL on the way to
// them, and tells the ways apart in which there is none.
func TestLookup(t *testing.T) {
	s := dnstest.Start(t)
	s.SetAddrs("both.example", 300, "2001:db8::1", "2001:db8::2", "192.0.2.1")
	s.SetAddrs("four.example", 60, "192.0.2.1", "192.0.2.2", "192.0.2.1")
	s.SetAddrs("Six.Example", 7, "2001:db8::1")
	s.SetAddrs("zero.example", 0, "192.0.2.1")
	s.SetAddrs("highest.example", 1<<31, "192.0.2.1") // RFC 2181: counts as 0
	s.SetAddrs("month.example", 2592000, "192.0.2.1")
	s.Set("mapped.example", dnstest.Entry{Addrs: addrs("192.0.2.1"), TTL: 9, Unmapped: true}) // A54
	s.Set("alias.example", dnstest.Entry{Alias: "alias2.example", TTL: 50})
	s.Set("alias2.example", dnstest.Entry{Alias: "both.example", TTL: 200})
	s.Set("slow.alias.example", dnstest.Entry{Alias: "six.example", TTL: 200})
	s.Set("loop.example", dnstest.Entry{Alias: "loop2.example", TTL: 50})
	s.Set("loop2.example", dnstest.Entry{Alias: "loop.example", TTL: 50})
	s.Set("dangling.example", dnstest.Entry{Alias: "nothing.example", TTL: 50})
	s.Set("empty.example", dnstest.Entry{})
	s.Set("empty60.example", dnstest.Entry{Negative: 60})
	s.Set("none60.example", dnstest.Entry{RCode: dnsmessage.RCodeNameError, Negative: 60})
	s.Set("servfail.example", dnstest.Entry{RCode: dnsmessage.RCodeServerFailure})
	s.Set("refused.example", dnstest.Entry{RCode: dnsmessage.RCodeRefused})
	s.Set("odd.example", dnstest.Entry{RCode: 9})
	s.Set("broken6.example", dnstest.Entry{Addrs: addrs("192.0.2.1"), TTL: 10, RCode6: dnsmessage.RCodeServerFailure})
	s.Set("wrong6.example", dnstest.Entry{Addrs: addrs("192.0.2.1"), TTL: 10, RCode6: dnsmessage.RCodeNameError})
	s.Set("broken6empty.example", dnstest.Entry{RCode6: dnsmessage.RCodeServerFailure})
	s.SetAddrs("blocked.example", 10, "0.0.0.0", "::")
	s.SetAddrs("partly.blocked.example", 10, "0.0.0.0", "2001:db8::1")
	s.SetAddrs("multicast.example", 10, "224.0.0.1", "255.255.255.255", "ff02::1")
	s.Set("cut.example", dnstest.Entry{Addrs: addrs("192.0.2.1", "2001:db8::1"), TTL: 10, Cut: true})
	c := dns.New(s.Files(t))
	for name, want := range map[string]string{
		"both.example":                        "2001:db8::1 2001:db8::2 192.0.2.1 5m0s",
		"BOTH.example.":                       "2001:db8::1 2001:db8::2 192.0.2.1 5m0s",
		"four.example":                        "192.0.2.1 192.0.2.2 1m0s",
		"six.example":                         "2001:db8::1 7s",
		"zero.example":                        "192.0.2.1",
		"highest.example":                     "192.0.2.1",
		"month.example":                       "192.0.2.1 24h0m0s",
		"mapped.example":                      "192.0.2.1 192.0.2.1 9s",
		"alias.example":                       "2001:db8::1 2001:db8::2 192.0.2.1 50s",
		"slow.alias.example":                  "2001:db8::1 7s",
		"loop.example":                        "no address",
		"dangling.example":                    "no address",
		"empty.example":                       "no address",
		"empty60.example":                     "no address 1m0s",
		"nothing.example":                     "not found",
		"none60.example":                      "not found 1m0s",
		"servfail.example":                    "server failed",
		"refused.example":                     "server failed",
		"odd.example":                         "server failed",
		"broken6.example":                     "192.0.2.1 10s without IPv6",
		"wrong6.example":                      "192.0.2.1 10s",
		"broken6empty.example":                "server failed",
		"blocked.example":                     "no address 10s",
		"partly.blocked.example":              "2001:db8::1 10s",
		"multicast.example":                   "no address 10s",
		"cut.example":                         "2001:db8::1 192.0.2.1 10s",
		"192.0.2.9":                           "192.0.2.9 24h0m0s",
		"::ffff:192.0.2.9":                    "192.0.2.9 24h0m0s",
		"fe80::1%lo":                          "fe80::1%lo 24h0m0s",
		"":                                    "not asked",
		"a..example":                          "not asked",
		"büro.example":                        "not asked",
		"a b":                                 "not asked",
		strings.Repeat("a", 64) + ".example":  "not asked",
		strings.Repeat("a.", 127) + "example": "not asked",
	} {
		a, err := c.Lookup(context.Background(), name)
		if got := text(a, err); got != want {
			t.Errorf("%q: got %q, want %q (%v)", name, got, want, err)
		}
	}
	if n := s.EDNS0(); n != 0 {
		t.Errorf("%d questions with EDNS0, which nobody asked for", n)
	}
}

// Errors are sentences that name the host, what is wrong, and the server.
func TestErrors(t *testing.T) {
	s := dnstest.Start(t)
	s.Set("servfail.example", dnstest.Entry{RCode: dnsmessage.RCodeServerFailure})
	s.SetAddrs("blocked.example", 10, "0.0.0.0")
	s.Set("empty.example", dnstest.Entry{})
	s.Set("silent.example", dnstest.Entry{Silent: true})
	c := dns.New(s.Files(t, "nameserver 127.0.0.1", "search .", "options timeout:1 attempts:1"))
	for name, want := range map[string]string{
		"nothing.example":  `"nothing.example": there is no host of this name, says the name server 127.0.0.1`,
		"empty.example":    `"empty.example": this name has no address, says the name server 127.0.0.1`,
		"servfail.example": `"servfail.example": the name server 127.0.0.1 cannot tell: it answers SERVFAIL`,
		"silent.example":   `"silent.example": the name server 127.0.0.1 does not answer`,
		"a b":              `"a b": cannot be looked up: it is not a host name`,
	} {
		if _, err := c.Lookup(context.Background(), name); err == nil || err.Error() != want {
			t.Errorf("%q: got the error\n%v, want\n%s", name, err, want)
		}
	}
}

// The search list, ndots and a last dot decide which names are asked for.
func TestSearch(t *testing.T) {
	s := dnstest.Start(t)
	s.SetAddrs("host.one.test", 10, "192.0.2.1")
	s.SetAddrs("host.two.test", 10, "192.0.2.2")
	s.SetAddrs("only.two.test", 10, "192.0.2.3")
	s.SetAddrs("dot.ted", 10, "192.0.2.4")
	s.SetAddrs("dot.ted.one.test", 10, "192.0.2.5")
	s.Set("sick.one.test", dnstest.Entry{RCode: dnsmessage.RCodeServerFailure})
	s.SetAddrs("sick.two.test", 10, "192.0.2.6")
	s.Set("nodata.one.test", dnstest.Entry{})
	s.SetAddrs("nodata.two.test", 10, "192.0.2.7")
	s.Set("sick.er", dnstest.Entry{RCode: dnsmessage.RCodeServerFailure})
	s.SetAddrs("sick.er.one.test", 10, "192.0.2.8") // perhaps by a wildcard: another host
	s.Set("silent.one.test", dnstest.Entry{Silent: true})
	s.SetAddrs("silent.two.test", 10, "192.0.2.9")
	s.Set("half.one.test", dnstest.Entry{})
	server := "nameserver " + s.Addr.Addr().String()
	one := dns.New(s.Files(t, server, "search one.test two.test", "options timeout:1 attempts:1"))
	five := dns.New(s.Files(t, server, "search one.test two.test.", "options ndots:5"))
	domain := dns.New(s.Files(t, server, "search one.test", "domain two.test"))
	for _, c := range []struct {
		client     *dns.Client
		host, want string
	}{
		{one, "host", "192.0.2.1 10s"},
		{one, "only", "192.0.2.3 10s"},
		{one, "only.", "not found"},
		{one, "dot.ted", "192.0.2.4 10s"},
		{five, "dot.ted", "192.0.2.5 10s"},
		{five, "dot.ted.", "192.0.2.4 10s"},
		{one, "sick", "192.0.2.6 10s"},
		{one, "nodata", "192.0.2.7 10s"},
		{one, "half", "no address"},
		{one, "sick.er", "server failed"},
		{one, "silent", "no answer"},
		{one, "none", "not found"},
		{domain, "host", "192.0.2.2 10s"},
	} {
		if got := text(c.client.Lookup(context.Background(), c.host)); got != c.want {
			t.Errorf("%s: got %q, want %q", c.host, got, c.want)
		}
	}
}

// resolv.conf and hosts are read again when they change, also twice within the
// resolution of a file's time, and when another file takes their place.
func TestConfigurationChanges(t *testing.T) {
	s := dnstest.Start(t)
	other := dnstest.StartAt(t, netip.AddrPortFrom(netip.MustParseAddr("127.0.0.2"), s.Addr.Port()))
	s.SetAddrs("a.example", 10, "192.0.2.1")
	other.SetAddrs("a.example", 10, "192.0.2.2")
	files := s.Files(t)
	c := dns.New(files)
	expect := func(when, want string) {
		t.Helper()
		if got := text(c.Lookup(context.Background(), "a.example")); got != want {
			t.Errorf("%s: got %q, want %q", when, got, want)
		}
	}
	expect("at first", "192.0.2.1 10s")
	for range 3 {
		dnstest.Write(t, files.ResolvConf, "nameserver 127.0.0.2")
		expect("the other server", "192.0.2.2 10s")
		dnstest.Write(t, files.ResolvConf, "nameserver 127.0.0.1")
		expect("the first server again", "192.0.2.1 10s")
	}
	// The file is old and does not change; then another one of the same age and size
	// takes its place.
	old := time.Now().Add(-time.Hour)
	dnstest.Write(t, files.ResolvConf+".new", "nameserver 127.0.0.2")
	for _, name := range []string{files.ResolvConf, files.ResolvConf + ".new"} {
		if err := os.Chtimes(name, old, old); err != nil {
			t.Fatal(err)
		}
	}
	expect("an old file", "192.0.2.1 10s")
	expect("the same file", "192.0.2.1 10s")
	if err := os.Rename(files.ResolvConf+".new", files.ResolvConf); err != nil {
		t.Fatal(err)
	}
	expect("another file", "192.0.2.2 10s")
	dnstest.Write(t, files.Hosts, "192.0.2.3 b.example A.example a # a comment", "2001:db8::3\ta.example", "", "# c", "junk a.example", "192.0.2.4")
	expect("in hosts", "192.0.2.3 2001:db8::3")
	dnstest.Write(t, files.NSSwitch, "passwd: files", "hosts: dns files")
	expect("DNS before hosts", "192.0.2.2 10s")
	other.Set("a.example", dnstest.Entry{RCode: dnsmessage.RCodeServerFailure})
	expect("DNS fails, hosts follows", "192.0.2.3 2001:db8::3")
	dnstest.Write(t, files.NSSwitch, "hosts: dns [!UNAVAIL=return] files")
	expect("DNS fails, nothing follows", "server failed")
	if err := os.Remove(files.Hosts); err != nil {
		t.Fatal(err)
	}
	dnstest.Write(t, files.NSSwitch, "hosts: files")
	expect("neither", "not found")
}

// A server that does not answer delays the first lookup only: it is asked last for
// a while. Servers that answer with an error are followed by the next one.
func TestNextServer(t *testing.T) {
	good := dnstest.Start(t)
	good.SetAddrs("a.example", 10, "192.0.2.1")
	at := func(ip string) *dnstest.Server {
		return dnstest.StartAt(t, netip.AddrPortFrom(netip.MustParseAddr(ip), good.Addr.Port()))
	}
	silent, sick := at("127.0.0.2"), at("127.0.0.3")
	silent.Set("a.example", dnstest.Entry{Silent: true})
	sick.Set("a.example", dnstest.Entry{RCode: dnsmessage.RCodeRefused})
	files := good.Files(t, "nameserver 127.0.0.2", "nameserver 127.0.0.3", "nameserver 127.0.0.1", "nameserver 127.0.0.4", "options timeout:1")
	c := dns.New(files)
	for i := range 3 {
		start := time.Now()
		if got := text(c.Lookup(context.Background(), "a.example")); got != "192.0.2.1 10s" {
			t.Errorf("lookup %d: %s", i, got)
		}
		if took := time.Since(start); i == 0 && took < time.Second {
			t.Errorf("the first lookup took %v, but the first server does not answer", took)
		}
	}
	if silent.Asked("a.example") != 2 || sick.Asked("a.example") != 6 || good.Asked("a.example") != 6 {
		t.Errorf("the servers were asked %d, %d and %d times, want 2, 6 and 6",
			silent.Asked("a.example"), sick.Asked("a.example"), good.Asked("a.example"))
	}
	// Nobody listens at 127.0.0.5: the kernel says so, and no time is lost.
	dnstest.Write(t, files.ResolvConf, "nameserver 127.0.0.5", "nameserver 127.0.0.1", "options timeout:20")
	asynctest.Within(t, 10*time.Second, "a lookup with one refusing server", func() {
		if got := text(c.Lookup(context.Background(), "a.example")); got != "192.0.2.1 10s" {
			t.Errorf("one refuses: %s", got)
		}
	})
	dnstest.Write(t, files.ResolvConf, "nameserver 127.0.0.5")
	if got := text(c.Lookup(context.Background(), "a.example")); got != "not asked" {
		t.Errorf("all refuse: %s", got)
	}
}

// rotate begins with another server each time.
func TestRotate(t *testing.T) {
	one := dnstest.Start(t)
	two := dnstest.StartAt(t, netip.AddrPortFrom(netip.MustParseAddr("127.0.0.2"), one.Addr.Port()))
	one.SetAddrs("a.example", 10, "192.0.2.1")
	two.SetAddrs("a.example", 10, "192.0.2.1")
	c := dns.New(one.Files(t, "nameserver 127.0.0.1", "nameserver 127.0.0.2", "options rotate single-request"))
	for range 10 {
		c.Lookup(context.Background(), "a.example")
	}
	if one.Asked("a.example") != 10 || two.Asked("a.example") != 10 {
		t.Errorf("the servers were asked %d and %d times, want 10 each", one.Asked("a.example"), two.Asked("a.example"))
	}
}

// Lookups end with their context, take no longer than the limit of their own, and
// leave nothing behind.
func TestCancelled(t *testing.T) {
	s := dnstest.Start(t)
	s.Set("a.example", dnstest.Entry{Silent: true})
	checkLeaks := asynctest.CheckLeaks(t)
	c := dns.New(s.Files(t, "nameserver 127.0.0.1", "options timeout:30 attempts:5"))
	ctx, cancel := context.WithCancel(context.Background())
	time.AfterFunc(50*time.Millisecond, cancel)
	asynctest.Within(t, 10*time.Second, "a cancelled lookup", func() {
		if _, err := c.Lookup(ctx, "a.example"); err == nil {
			t.Error("there is an answer")
		}
	})
	checkLeaks()
}
