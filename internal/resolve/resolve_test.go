package resolve_test

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"wgd/internal/resolve"
)

// Parse accepts all forms of endpoints, and refuses wrong ones.
func TestParse(t *testing.T) {
	for _, c := range []struct{ in, host, port, literal string }{
		{"192.0.2.1:51820", "192.0.2.1", "51820", "192.0.2.1:51820"},
		{"[2001:db8::1]:51820", "2001:db8::1", "51820", "[2001:db8::1]:51820"},
		{"2001:db8::1:51820", "2001:db8::1", "51820", "[2001:db8::1]:51820"}, // as NetBSD's program writes it
		{"::1:7", "::1", "7", "[::1]:7"},
		{"[fe80::1%eth0]:7", "fe80::1%eth0", "7", "[fe80::1%eth0]:7"}, // A54: the scope is kept
		{"fe80::1%eth0:7", "fe80::1%eth0", "7", "[fe80::1%eth0]:7"},
		{"[::ffff:192.0.2.1]:7", "::ffff:192.0.2.1", "7", "192.0.2.1:7"}, // A54
		{"[192.0.2.1]:7", "192.0.2.1", "7", "192.0.2.1:7"},
		{"vpn.example.org:51820", "vpn.example.org", "51820", ""},
		{"localhost:domain", "localhost", "domain", ""},
	} {
		e, err := resolve.Parse(c.in)
		if err != nil || e.Host != c.host || e.Port != c.port {
			t.Errorf("Parse(%q) = %+v, %v, want %s and %s", c.in, e, err, c.host, c.port)
			continue
		}
		literal, ok := e.Literal()
		if ok != (c.literal != "") || ok && literal.String() != c.literal {
			t.Errorf("%s: Literal returns %v, %v, want %q", c.in, literal, ok, c.literal)
		}
		if again, err := resolve.Parse(e.String()); err != nil || again != e {
			t.Errorf("Parse(%q) = %v, %v, want %v", e, again, err, e)
		}
	}
	for _, bad := range []string{"", "host", ":5", "host:", "[::1]", "[::1]5", "[::1:5", "::1]:5", "host:0", "host:65536",
		"host:99999999999999999", "a b:5", "[a]b]:5", "1::2::3:5", "a/b:5", "[]:5", "host\n:5"} {
		if e, err := resolve.Parse(bad); err == nil || strings.Contains(err.Error(), "\n") {
			t.Errorf("Parse(%q) = %+v, %v, want an error of one line", bad, e, err)
		}
	}
}

// fakeLookup is a Lookup that returns errors and then addresses.
type fakeLookup struct {
	errs  []error // one for each of the first tries
	addrs []string
	tries int
}

func (a *fakeLookup) LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error) {
	a.tries++
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if a.tries <= len(a.errs) {
		return nil, a.errs[a.tries-1]
	}
	var addrs []netip.Addr
	for _, s := range a.addrs {
		addrs = append(addrs, netip.MustParseAddr(s))
	}
	return addrs, nil
}

func (a *fakeLookup) LookupPort(ctx context.Context, network, service string) (int, error) {
	return net.DefaultResolver.LookupPort(ctx, network, service)
}

var (
	timeout = &net.DNSError{Err: "read udp 192.0.2.1:5->192.0.2.9:53: i/o timeout", Name: "h", Server: "192.0.2.9:53", IsTimeout: true, IsTemporary: true}
	unknown = &net.DNSError{Err: "no such host", Name: "h", IsNotFound: true}
	offline = &net.OpError{Op: "dial", Err: errors.New("network is unreachable")}
)

// Resolve repeats a lookup that failed temporarily, with growing pauses, and
// reports a host that does not exist at once.
func TestRetries(t *testing.T) {
	for _, c := range []struct {
		name  string
		dns   fakeLookup
		tries int
		want  string
	}{
		{"at once", fakeLookup{addrs: []string{"::ffff:192.0.2.1", "2001:db8::1"}}, 1, ""},
		{"after two failures", fakeLookup{errs: []error{timeout, offline}, addrs: []string{"192.0.2.1", "2001:db8::1"}}, 3, ""},
		{"unknown", fakeLookup{errs: []error{unknown}}, 1, "there is no host of this name"},
		{"unknown, in the end", fakeLookup{errs: []error{timeout, unknown}}, 2, "there is no host of this name"},
		{"timeout", fakeLookup{errs: []error{timeout, timeout, timeout, timeout, timeout, timeout}}, 4, "tried 4 times: the name cannot be looked up now, the name server 192.0.2.9:53 does not answer: try again"},
		{"no address", fakeLookup{}, 1, "there is no host of this name"},
	} {
		var pauses []time.Duration
		retries := 0
		r := resolve.Resolver{Lookup: &c.dns, Retries: 3,
			Waiting: func(r resolve.Retry) {
				retries++
				if text := r.Err.Error(); strings.Contains(text, "udp") {
					t.Errorf("%s: the error is not for people: %s", c.name, text)
				}
				if r.Attempt != retries+1 || r.Attempts != 4 {
					t.Errorf("%s: got attempt %d of %d at retry %d", c.name, r.Attempt, r.Attempts, retries)
				}
			},
			Pause: func(_ context.Context, d time.Duration) error { pauses = append(pauses, d); return nil }}
		got, err := r.Resolve(context.Background(), "h:7")
		if c.want == "" {
			want := []netip.AddrPort{netip.MustParseAddrPort("192.0.2.1:7"), netip.MustParseAddrPort("[2001:db8::1]:7")}
			if err != nil || !reflect.DeepEqual(got, want) {
				t.Errorf("%s: got %v, %v, want %v", c.name, got, err, want)
			}
		} else if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "h:7") {
			t.Errorf("%s: got error %v, want one with %q", c.name, err, c.want)
		}
		if c.dns.tries != c.tries || len(pauses) != c.tries-1 || retries != len(pauses) {
			t.Errorf("%s: %d tries, %d pauses, %d retries", c.name, c.dns.tries, len(pauses), retries)
		}
		for i := 1; i < len(pauses); i++ {
			if pauses[i] <= pauses[i-1] {
				t.Errorf("%s: the pauses do not grow: %v", c.name, pauses)
			}
		}
	}
}

// Cancelling the context ends Resolve, also during a pause (A63).
func TestCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	r := resolve.Resolver{Lookup: &fakeLookup{errs: []error{timeout, timeout, timeout}}, Retries: 3,
		Waiting: func(resolve.Retry) { cancel() }}
	start := time.Now()
	if _, err := r.Resolve(ctx, "h:7"); !errors.Is(err, context.Canceled) {
		t.Errorf("got error %v, want context.Canceled", err)
	}
	if took := time.Since(start); took > 900*time.Millisecond {
		t.Errorf("Resolve took %v, longer than a pause", took)
	}
}

// Resolve looks up nothing if the endpoint is an address.
func TestNothingToLookUp(t *testing.T) {
	dns := &fakeLookup{errs: []error{timeout}}
	r := resolve.Resolver{Lookup: dns}
	if got, err := r.Resolve(context.Background(), "[fe80::1%lo]:7"); err != nil || got[0].String() != "[fe80::1%lo]:7" || dns.tries != 0 {
		t.Errorf("got %v, %v after %d lookups", got, err, dns.tries)
	}
	if _, err := r.Resolve(context.Background(), "192.0.2.1:no-such-service"); err == nil || !strings.Contains(err.Error(), "is not a port") {
		t.Errorf("got error %v, want one about the port", err)
	}
}

// FuzzParse: Parse never panics, and String returns what Parse accepts again.
func FuzzParse(f *testing.F) {
	for _, s := range []string{"192.0.2.1:51820", "[2001:db8::1%x]:1", "::1:7", "h:domain", "[", "]:", ":"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		e, err := resolve.Parse(s)
		if err != nil {
			return
		}
		if again, err := resolve.Parse(e.String()); err != nil || again != e {
			t.Errorf("Parse(%q) = %+v, but Parse(%q) = %+v, %v", s, e, e, again, err)
		}
		if ap, ok := e.Literal(); ok && (!ap.IsValid() || ap.Port() == 0 || ap.Addr().Is4In6()) {
			t.Errorf("%q: Literal returns %v", s, ap)
		}
	})
}
