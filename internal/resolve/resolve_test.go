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

// TestParse: what people write, and what they write wrongly.
func TestParse(t *testing.T) {
	for _, c := range []struct{ in, host, port, literal string }{
		{"192.0.2.1:51820", "192.0.2.1", "51820", "192.0.2.1:51820"},
		{"[2001:db8::1]:51820", "2001:db8::1", "51820", "[2001:db8::1]:51820"},
		{"2001:db8::1:51820", "2001:db8::1", "51820", "[2001:db8::1]:51820"}, // as NetBSD's program
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
			t.Errorf("%s: %+v %v", c.in, e, err)
			continue
		}
		literal, ok := e.Literal()
		if ok != (c.literal != "") || ok && literal.String() != c.literal {
			t.Errorf("%s: literal %v", c.in, literal)
		}
		if again, err := resolve.Parse(e.String()); err != nil || again != e {
			t.Errorf("%s: written again %v %v", c.in, again, err)
		}
	}
	for _, bad := range []string{"", "host", ":5", "host:", "[::1]", "[::1]5", "[::1:5", "::1]:5", "host:0", "host:65536",
		"host:99999999999999999", "a b:5", "[a]b]:5", "1::2::3:5", "a/b:5", "[]:5", "host\n:5"} {
		if e, err := resolve.Parse(bad); err == nil || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: %+v %v", bad, e, err)
		}
	}
}

// fakeLookup is a name server of few words.
type fakeLookup struct {
	errs  []error // one for each try; then the addresses
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

// TestRetries: what may pass is tried again, in growing pauses; what is
// hopeless is said at once.
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
		{"dead", fakeLookup{errs: []error{timeout, timeout, timeout, timeout, timeout, timeout}}, 4, "tried 4 times: the name cannot be looked up now, the name server 192.0.2.9:53 does not answer: try again"},
		{"no address", fakeLookup{}, 1, "there is no host of this name"},
	} {
		var pauses []time.Duration
		retries := 0
		r := resolve.Resolver{Lookup: &c.dns, Retries: 3,
			Waiting: func(r resolve.Retry) {
				retries++
				if text := r.Err.Error(); strings.Contains(text, "udp") {
					t.Errorf("%s: not a sentence for a person: %s", c.name, text)
				}
				if r.Attempt != retries+1 || r.Attempts != 4 {
					t.Errorf("%s: attempt %d of %d after %d", c.name, r.Attempt, r.Attempts, retries)
				}
			},
			Pause: func(_ context.Context, d time.Duration) error { pauses = append(pauses, d); return nil }}
		got, err := r.Resolve(context.Background(), "h:7")
		if c.want == "" {
			want := []netip.AddrPort{netip.MustParseAddrPort("192.0.2.1:7"), netip.MustParseAddrPort("[2001:db8::1]:7")}
			if err != nil || !reflect.DeepEqual(got, want) {
				t.Errorf("%s: %v %v", c.name, got, err)
			}
		} else if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "h:7") {
			t.Errorf("%s: %v", c.name, err)
		}
		if c.dns.tries != c.tries || len(pauses) != c.tries-1 || retries != len(pauses) {
			t.Errorf("%s: %d tries, %d pauses, %d retries", c.name, c.dns.tries, len(pauses), retries)
		}
		for i := 1; i < len(pauses); i++ {
			if pauses[i] <= pauses[i-1] {
				t.Errorf("%s: pauses %v", c.name, pauses)
			}
		}
	}
}

// TestCancelled: who waits may stop waiting, in a pause too (A63).
func TestCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	r := resolve.Resolver{Lookup: &fakeLookup{errs: []error{timeout, timeout, timeout}}, Retries: 3,
		Waiting: func(resolve.Retry) { cancel() }}
	start := time.Now()
	if _, err := r.Resolve(ctx, "h:7"); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	if took := time.Since(start); took > 900*time.Millisecond {
		t.Errorf("took %v", took)
	}
}

// TestNothingToLookUp: an address asks no server.
func TestNothingToLookUp(t *testing.T) {
	dns := &fakeLookup{errs: []error{timeout}}
	r := resolve.Resolver{Lookup: dns}
	if got, err := r.Resolve(context.Background(), "[fe80::1%lo]:7"); err != nil || got[0].String() != "[fe80::1%lo]:7" || dns.tries != 0 {
		t.Errorf("%v %v", got, err)
	}
	if _, err := r.Resolve(context.Background(), "192.0.2.1:no-such-service"); err == nil || !strings.Contains(err.Error(), "is no port") {
		t.Errorf("%v", err)
	}
}

// FuzzParse: no text panics, and what is accepted is the same when written again.
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
			t.Errorf("%q: %+v, again %+v %v", s, e, again, err)
		}
		if ap, ok := e.Literal(); ok && (!ap.IsValid() || ap.Port() == 0 || ap.Addr().Is4In6()) {
			t.Errorf("%q: %v", s, ap)
		}
	})
}
