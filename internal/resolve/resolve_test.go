package resolve_test

import (
	"strings"
	"testing"

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

// Named returns the name with the port as a number, and refuses a port that is not
// the name of a service.
func TestNamed(t *testing.T) {
	for in, want := range map[string]string{
		"vpn.example.org:51820": "vpn.example.org:51820",
		"localhost:domain":      "localhost:53",
	} {
		e, err := resolve.Parse(in)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := e.Named(); got != want || err != nil {
			t.Errorf("%s: got %q, %v, want %q", in, got, err, want)
		}
	}
	e := resolve.Endpoint{Host: "h", Port: "no-such-service"}
	if got, err := e.Named(); err == nil || !strings.Contains(err.Error(), "is not a port") {
		t.Errorf("got %q, %v, want an error about the port", got, err)
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
