package netstack

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"wgd/internal/resolve/dns/dnstest"
)

// resolving returns two connected stacks. a has the name servers, and b is the
// host of all servers: it also has the addresses 10.2.0.43 to 10.2.0.45.
func resolving(t *testing.T, o Options) (a, b *Stack) {
	t.Helper()
	prefixes := func(list ...string) (result []netip.Prefix) {
		for _, s := range list {
			result = append(result, netip.MustParsePrefix(s))
		}
		return result
	}
	if o.Addresses == nil {
		o.Addresses = prefixes("10.2.0.1/24", "fd00:2::1/64")
	}
	a, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	b, err = New(Options{Addresses: prefixes("10.2.0.42/24", "10.2.0.43/24", "10.2.0.44/24", "10.2.0.45/24", "fd00:2::42/64")})
	if err != nil {
		t.Fatal(err)
	}
	connect(t, a, b)
	return a, b
}

// nameServer starts a name server at port 53 of an address of b.
func nameServer(t *testing.T, b *Stack, address string) *dnstest.Server {
	t.Helper()
	udp, err := b.ListenPacket("udp", net.JoinHostPort(address, "53"))
	if err != nil {
		t.Fatal(err)
	}
	tcp, err := b.Listen("tcp", net.JoinHostPort(address, "53"))
	if err != nil {
		t.Fatal(err)
	}
	return dnstest.Serve(t, udp, tcp)
}

func addresses(list ...string) (result []netip.Addr) {
	for _, s := range list {
		result = append(result, netip.MustParseAddr(s))
	}
	return result
}

// result is what a lookup returns, for comparisons.
func result(list []netip.Addr, err error) string {
	var e *net.DNSError
	switch {
	case err == nil:
		return strings.Trim(fmt.Sprint(list), "[]")
	case !errors.As(err, &e):
		return "not a DNSError: " + err.Error()
	case e.IsNotFound:
		return "not found"
	case e.IsTimeout:
		return "timeout"
	}
	return "failed"
}

// Names are looked up by the name servers inside the tunnel: over UDP, over TCP if
// the answer is too long, with aliases and the search domains, in both families.
func TestLookupNetIP(t *testing.T) {
	a, b := resolving(t, Options{NameServers: addresses("10.2.0.42"), Search: []string{"one.test", "two.test.", "."}})
	s := nameServer(t, b, "10.2.0.42")
	s.SetAddrs("both.example", 60, "2001:db8::1", "192.0.2.1")
	s.SetAddrs("four.example", 60, "192.0.2.4")
	s.Set("alias.example", dnstest.Entry{Alias: "both.example"})
	s.SetAddrs("db.two.test", 60, "10.2.0.9")
	s.Set("broken.example", dnstest.Entry{RCode: dnstest.ServerFailure})
	var long []string
	for i := range 30 {
		long = append(long, fmt.Sprintf("192.0.2.%d", i+1))
	}
	s.SetAddrs("long.example", 60, slices.Concat(long, []string{"2001:db8::2"})...)
	s.Set("cut.example", dnstest.Entry{Addrs: addresses("192.0.2.7"), Cut: true})
	for _, c := range []struct{ network, host, want string }{
		{"ip", "both.example", "2001:db8::1 192.0.2.1"},
		{"ip4", "both.example", "192.0.2.1"},
		{"ip6", "both.example.", "2001:db8::1"},
		{"ip6", "four.example", "not found"},
		{"ip", "alias.example", "2001:db8::1 192.0.2.1"},
		{"ip", "db", "10.2.0.9"},
		{"ip", "db.", "not found"},
		{"ip", "nothing.example", "not found"},
		{"ip", "broken.example", "failed"},
		{"ip4", "long.example", strings.Join(long, " ")},
		{"ip4", "cut.example", "192.0.2.7"},
		{"ip", "a b", "failed"},
		{"ip", "localhost", "not found"}, // whatever the hosts file of this computer says
		{"ip", "192.0.2.9", "192.0.2.9"},
		{"ip4", "::ffff:192.0.2.9", "192.0.2.9"},
		{"ip4", "2001:db8::9", "not found"},
		{"tcp", "both.example", "failed"},
	} {
		if got := result(a.LookupNetIP(t.Context(), c.network, c.host)); got != c.want {
			t.Errorf("%s %s: got %s, want %s", c.network, c.host, got, c.want)
		}
	}
	if list, err := a.LookupHost(t.Context(), "both.example"); err != nil || !slices.Equal(list, []string{"2001:db8::1", "192.0.2.1"}) {
		t.Errorf("LookupHost: %q, %v", list, err)
	}
	if _, err := a.LookupHost(t.Context(), "nothing.example"); err == nil {
		t.Error("LookupHost of a name that does not exist: no error")
	}
	_, err := a.LookupNetIP(t.Context(), "ip6", "four.example")
	if want := "lookup four.example: this name has no IPv6 address, says the name server 10.2.0.42"; err == nil || err.Error() != want {
		t.Errorf("got the error\n%v, want\n%s", err, want)
	}
}

// A name server that does not answer is followed by the next one; a lookup ends
// with its context.
func TestNameServersThatDoNotAnswer(t *testing.T) {
	t.Parallel() // it waits for timeouts
	a, b := resolving(t, Options{NameServers: addresses("10.2.0.42", "10.2.0.43")})
	silent, good := nameServer(t, b, "10.2.0.42"), nameServer(t, b, "10.2.0.43")
	silent.Set("a.example", dnstest.Entry{RCode: dnstest.ServerFailure})
	good.SetAddrs("a.example", 60, "192.0.2.1")
	good.Set("never.example", dnstest.Entry{Silent: true})
	if got := result(a.LookupNetIP(t.Context(), "ip", "a.example")); got != "192.0.2.1" {
		t.Errorf("the first server fails: got %s", got)
	}
	silent.Set("a.example", dnstest.Entry{Silent: true})
	if got := result(a.LookupNetIP(t.Context(), "ip4", "a.example")); got != "192.0.2.1" {
		t.Errorf("the first server does not answer: got %s", got)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	silent.Set("never.example", dnstest.Entry{Silent: true})
	_, err := a.LookupNetIP(ctx, "ip", "never.example")
	if got := result(nil, err); got != "timeout" || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a context that ends: %v", err)
	}
}

// Without name servers an error says what to do, and numbers work.
func TestWithoutNameServers(t *testing.T) {
	a, b := resolving(t, Options{})
	if _, err := b.Listen("tcp", ":80"); err != nil {
		t.Fatal(err)
	}
	_, err := a.DialContext(t.Context(), "tcp", "www.example:80")
	if err == nil || !strings.Contains(err.Error(), "lookup www.example: no name server is known: set Options.NameServers") {
		t.Errorf("DialContext: %v", err)
	}
	if _, err := a.Resolver().LookupTXT(t.Context(), "www.example."); err == nil || !strings.Contains(err.Error(), "no name server is known") {
		t.Errorf("Resolver: %v", err)
	}
	conn, err := a.DialContext(t.Context(), "tcp", "10.2.0.42:80")
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
}

func TestBadNameServers(t *testing.T) {
	for _, bad := range []netip.Addr{{}, netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("::"), netip.MustParseAddr("ff02::1")} {
		if _, err := New(Options{NameServers: []netip.Addr{bad}}); err == nil {
			t.Errorf("New accepts the name server %v", bad)
		}
	}
	for _, bad := range []string{"", "a b", "a..b"} {
		if _, err := New(Options{Search: []string{bad}}); err == nil {
			t.Errorf("New accepts the search domain %q", bad)
		}
	}
}

// DialContext tries all addresses of a name: those of a family that the stack
// lacks are left out, one that refuses is followed by the next one at once, and
// one that is silent after a while.
func TestDialName(t *testing.T) {
	a, b := resolving(t, Options{NameServers: addresses("10.2.0.42")})
	s := nameServer(t, b, "10.2.0.42")
	listener, err := b.Listen("tcp", "10.2.0.44:80")
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		for {
			if _, err := listener.Accept(); err != nil {
				return
			}
		}
	}()
	s.SetAddrs("www.example", 60, "fd00:2::42", "10.2.0.99", "10.2.0.43", "10.2.0.44")
	s.SetAddrs("refused.example", 60, "10.2.0.43", "fd00:2::42")
	s.SetAddrs("unreachable.example", 60, "2001:db8::1")
	for _, network := range []string{"tcp", "tcp4"} {
		conn, err := a.DialContext(t.Context(), network, "www.example:80")
		if err != nil {
			t.Fatal(err)
		}
		if got := conn.RemoteAddr().String(); got != "10.2.0.44:80" {
			t.Errorf("%s: connected to %s, want 10.2.0.44:80", network, got)
		}
		conn.Close()
	}
	conn, err := a.DialContext(t.Context(), "udp", "www.example:7")
	if err != nil {
		t.Fatal(err)
	}
	if got := conn.RemoteAddr().String(); got != "[fd00:2::42]:7" {
		t.Errorf("udp: connected to %s, want [fd00:2::42]:7", got)
	}
	conn.Close()
	for _, c := range [][2]string{{"tcp", "refused.example:80"}, {"tcp6", "www.example:80"}, {"tcp", "www.example:http"}, {"ip", "www.example:80"}, {"tcp", "nothing.example:80"}} {
		if conn, err := a.DialContext(t.Context(), c[0], c[1]); err == nil {
			conn.Close()
			t.Errorf("%s: connected to %s", c, conn.RemoteAddr())
		}
	}
}

// A stack with IPv4 addresses only leaves out IPv6 addresses.
func TestDialNameWithOneFamily(t *testing.T) {
	a, b := resolving(t, Options{
		NameServers: addresses("10.2.0.42"), Addresses: []netip.Prefix{netip.MustParsePrefix("10.2.0.1/24")},
	})
	s := nameServer(t, b, "10.2.0.42")
	s.SetAddrs("both.example", 60, "fd00:2::42", "10.2.0.42")
	s.SetAddrs("six.example", 60, "fd00:2::42")
	conn, err := a.DialContext(t.Context(), "udp", "both.example:7")
	if err != nil {
		t.Fatal(err)
	}
	if got := conn.RemoteAddr().String(); got != "10.2.0.42:7" {
		t.Errorf("connected to %s, want 10.2.0.42:7", got)
	}
	conn.Close()
	if _, err := a.DialContext(t.Context(), "tcp", "six.example:7"); err == nil || !strings.Contains(err.Error(), "of a family that the stack has") {
		t.Errorf("a name with IPv6 addresses only: %v", err)
	}
}

// Resolver queries the name servers inside the tunnel, whatever /etc/resolv.conf
// says, and looks up other records too. It is the resolver of package net, which
// decides by the type of a connection how it frames messages.
func TestResolver(t *testing.T) {
	t.Parallel() // it waits for timeouts
	a, b := resolving(t, Options{NameServers: addresses("10.2.0.42", "10.2.0.43")})
	first, second := nameServer(t, b, "10.2.0.42"), nameServer(t, b, "10.2.0.43")
	for _, s := range []*dnstest.Server{first, second} {
		s.SetAddrs("a.example", 60, "192.0.2.1", "2001:db8::1")
		s.Set("cut.example", dnstest.Entry{Addrs: addresses("192.0.2.7"), TTL: 60, Cut: true})
	}
	r := a.Resolver()
	lookup := func(host, want string) {
		t.Helper()
		list, err := r.LookupNetIP(t.Context(), "ip", host)
		for i := range list {
			list[i] = list[i].Unmap()
		}
		slices.SortFunc(list, netip.Addr.Compare)
		if got := result(list, err); got != want {
			t.Errorf("%s: got %s, want %s (%v)", host, got, want, err)
		}
	}
	lookup("a.example.", "192.0.2.1 2001:db8::1")
	lookup("cut.example.", "192.0.2.7")
	lookup("nothing.example.", "not found")
	if first.Asked("a.example") != 2 || second.Asked("a.example") != 0 {
		t.Errorf("queries: %d and %d, want 2 at the first server", first.Asked("a.example"), second.Asked("a.example"))
	}
	if _, err := r.LookupTXT(t.Context(), "a.example."); err == nil || first.Asked("a.example") != 3 {
		t.Errorf("TXT: %v, %d queries", err, first.Asked("a.example"))
	}
	first.Set("a.example", dnstest.Entry{Silent: true})
	ctx, cancel := context.WithTimeout(t.Context(), 2*answerTime)
	defer cancel()
	if _, err := r.LookupNetIP(ctx, "ip4", "a.example."); err == nil {
		t.Error("a silent server: no error")
	}
	lookup("a.example.", "192.0.2.1 2001:db8::1")
	if second.Asked("a.example") == 0 {
		t.Error("the second server was not queried")
	}
}

// A caller that cancels its query, or waits for a short time only, does not replace
// the server: it may be the best one.
func TestCallersDoNotReplaceServers(t *testing.T) {
	t.Parallel() // it waits for timeouts
	a, b := resolving(t, Options{NameServers: addresses("10.2.0.42", "10.2.0.43", "10.2.0.99")})
	slow := nameServer(t, b, "10.2.0.42")
	slow.Set("a.example", dnstest.Entry{Silent: true})
	r := a.Resolver()
	current := func() int {
		a.names.mu.Lock()
		defer a.names.mu.Unlock()
		return a.names.current
	}
	early, cancel := context.WithTimeout(t.Context(), answerTime/10)
	defer cancel()
	canceled, cancelNow := context.WithCancel(t.Context())
	cancelNow()
	for name, ctx := range map[string]context.Context{"an early deadline": early, "a canceled query": canceled} {
		if _, err := r.LookupTXT(ctx, "a.example."); err == nil {
			t.Errorf("%s: no error", name)
		}
		if got := current(); got != 0 {
			t.Fatalf("%s: server %d is the current one, want still the first", name, got)
		}
	}
	// One that notices its early deadline late, on a busy computer, does not either.
	late, cancelLate := context.WithTimeout(t.Context(), answerTime/10)
	defer cancelLate()
	conn, err := a.names.dial(late, a, "udp")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	deadline, _ := late.Deadline()
	conn.SetDeadline(deadline)
	time.Sleep(answerTime + time.Until(deadline))
	if _, err := conn.Read(make([]byte, 512)); err == nil {
		t.Error("a silent server: an answer")
	}
	if got := current(); got != 0 {
		t.Fatalf("late: server %d is the current one, want still the first", got)
	}
	// Over TCP the connection is canceled while it is made.
	a.names.current = 2 // it does not exist
	connecting, cancelSoon := context.WithCancel(t.Context())
	time.AfterFunc(answerTime/10, cancelSoon)
	if conn, err := a.names.dial(connecting, a, "tcp"); err == nil {
		conn.Close()
		t.Error("a connection to a host that does not exist")
	}
	if got := current(); got != 2 {
		t.Errorf("a canceled connection: server %d is the current one, want the same as before", got)
	}
	// A server that refuses has failed, however early.
	a.names.current = 1
	if conn, err := a.names.dial(t.Context(), a, "tcp"); err == nil {
		conn.Close()
		t.Error("a connection to a closed port")
	}
	if got := current(); got != 2 {
		t.Errorf("a refused connection: server %d is the current one, want the next", got)
	}
}
