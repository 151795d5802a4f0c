package etcd

import (
	"encoding/base64"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"wgd/cmd/wgd-peers/store"
	"wgd/cmd/wgd-peers/store/storetest"
)

// The address of a store names members, with or without ports, and a prefix.
func TestParseAddress(t *testing.T) {
	for text, want := range map[string]string{
		"//a":                               "a:2379 /wgd",
		"//a:1,b,10.0.0.1:3/x/y/":           "a:1 b:2379 10.0.0.1:3 /x/y",
		"//[fd00::1],[fd00::2]:5/":          "[fd00::1]:2379 [fd00::2]:5 /wgd",
		"/a":                                "write etcd://HOST:PORT",
		"///x":                              "write etcd://HOST:PORT",
		"//a,,b":                            "write HOST:PORT",
		"//a:0":                             "give a port from 1 to 65535",
		"//a:x":                             "give a port from 1 to 65535",
		"//a:65536":                         "give a port from 1 to 65535",
		"//user:hidden@a:2379":              "write no user and password in the URL",
		"//a/x y":                           "use letters, digits and ._-/ only",
		"//a?x=1":                           "write HOST:PORT",
		"//fd00::1":                         "fd00::1",
		"//a:1:2":                           "write HOST:PORT",
		"//a/\x00":                          "use letters, digits and ._-/ only",
		"//" + strings.Repeat("a,", 3) + "": "write HOST:PORT",
	} {
		o, err := ParseAddress(text)
		switch {
		case err != nil && (!strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hidden")):
			t.Errorf("%s: %v, want %q", text, err, want)
		case err == nil:
			if got := strings.Join(append(o.Endpoints, o.Prefix), " "); got != want && !strings.Contains(got, want) {
				t.Errorf("%s: %s, want %s", text, got, want)
			}
		}
	}
}

// Credentials are one line: a user, a colon, and a password, which may have colons.
func TestSetCredentials(t *testing.T) {
	var o Options
	if err := o.SetCredentials([]byte("user:pass:word\r\n")); err != nil || o.user != "user" || string(o.password) != "pass:word" {
		t.Errorf("%q, %q, %v", o.user, o.password, err)
	}
	for _, text := range []string{"", "user", "user:", ":word", "user:a\nb"} {
		if err := o.SetCredentials([]byte(text)); err == nil || strings.Contains(err.Error(), "word") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func FuzzParseAddress(f *testing.F) {
	for _, text := range []string{"//a:1,b/x", "//[fd00::1]:5/", "//", "//a@b"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		o, err := ParseAddress(text)
		if err != nil {
			return
		}
		again, err := ParseAddress("//" + strings.Join(o.Endpoints, ",") + o.Prefix)
		if err != nil || !slices.Equal(again.Endpoints, o.Endpoints) || again.Prefix != o.Prefix {
			t.Errorf("%q is %+v, and that is %+v, %v", text, o, again, err)
		}
	})
}

// A public key comes back from its form in keys, and nothing else has that form.
func TestKeys(t *testing.T) {
	public := storetest.Numbered(3).PublicKey
	text := encodeKey(public)
	if got, ok := decodeKey(text); !ok || got != public || strings.ContainsAny(text, "+/=") {
		t.Errorf("%s: %v, %v", text, got, ok)
	}
	for _, wrong := range []string{"", text[1:], text + "A", text + "=", public.Base64(), text[:42] + "/", strings.Repeat("A", 43), text[:42] + "B"} {
		if _, ok := decodeKey(wrong); ok {
			t.Errorf("%q was accepted", wrong)
		}
	}
}

func FuzzDecodeKey(f *testing.F) {
	f.Add(encodeKey(storetest.Numbered(3).PublicKey))
	f.Add("x")
	f.Fuzz(func(t *testing.T, text string) {
		if public, ok := decodeKey(text); ok && encodeKey(public) != text {
			t.Errorf("%q is %v, whose form is %q", text, public, encodeKey(public))
		}
	})
}

// Whatever is in etcd becomes a peer, with a problem if it is wrong.
func FuzzRecord(f *testing.F) {
	for _, text := range []string{`{}`, `{"name": "a", "allowed_ips": ["10.0.0.1/32", "x"], "endpoint": "a:1", "preshared_key": "x"}`,
		`{"import": "a", "before": {"name": "b"}, "seen": {"stamp": "00", "endpoint": "x", "at": -1}}`, `[]`, `{"revoked": 1e99}`} {
		f.Add([]byte(text))
	}
	c := &Cluster{prefix: "/wgd/"}
	public := storetest.Numbered(1).PublicKey
	f.Fuzz(func(t *testing.T, text []byte) {
		r, err := decode[record](text)
		if err != nil {
			return
		}
		p := r.peer(public, r.Seen, new(store.Problems))
		for _, needed := range c.claims(r, encodeKey(public)) {
			if !strings.HasPrefix(needed.key, c.prefix) || !c.has(r, encodeKey(public), needed.key) {
				t.Errorf("the claim %+v", needed)
			}
		}
		if p.Problem != "" {
			return
		}
		again := recordOf(p).peer(public, seenOf(&p.Seen), new(store.Problems))
		if again.Problem != "" || again.Name != p.Name || !slices.Equal(again.AllowedIPs, p.AllowedIPs) || again.Endpoint != p.Endpoint {
			t.Errorf("%s is %+v, and that is %+v", text, p, again)
		}
	})
}

// The parts into which the range of peers is divided have a fair share of random keys, in the
// order of etcd.
func TestDivide(t *testing.T) {
	sorted := []byte(alphabet)
	if _, err := base64.RawURLEncoding.DecodeString(alphabet); err != nil || !slices.IsSorted(sorted) || len(slices.Compact(sorted)) != 64 {
		t.Errorf("the digits are not those of encodeKey, in the order in which etcd sorts them: %v", err)
	}
	const n = 20000
	parts := divide("/wgd/peers/", "/wgd/peers0", n)
	if !slices.IsSorted(parts) || parts[len(parts)-1] != "/wgd/peers0" {
		t.Fatal("the boundaries are in no order")
	}
	counts := map[string]int{}
	for i := range n {
		counts[after(parts, "/wgd/peers/"+encodeKey(storetest.Numbered(i).PublicKey), "/wgd/peers0")]++
	}
	for part, count := range counts {
		if count > pageSize {
			t.Errorf("%d peers before %s, more than a page", count, part)
		}
	}
	if len(parts) < n/pageSize || len(parts) > 4*n/pageSize {
		t.Errorf("%d parts for %d peers", len(parts), n)
	}
	if few := divide("/wgd/peers/", "/wgd/peers0", 1); len(few) != 1 {
		t.Errorf("one peer is divided into %d parts", len(few))
	}
}

// All prefixes of an address are looked for, the longest first.
func TestAround(t *testing.T) {
	c := &Cluster{prefix: "/wgd/"}
	got := c.around(netip.MustParseAddr("10.1.2.3"), 0)
	if len(got) != 33 || got[0] != "/wgd/addresses/10.1.2.3/32" || got[8] != "/wgd/addresses/10.1.2.0/24" || got[32] != "/wgd/addresses/0.0.0.0/0" {
		t.Errorf("%q", got)
	}
	if got := c.around(netip.MustParseAddr("fd00::1"), 64); len(got) != 65 || got[64] != "/wgd/addresses/fd00::/64" {
		t.Errorf("%q", got)
	}
}

// Addresses are added to, with carries, up to the last one.
func TestPlus(t *testing.T) {
	for _, c := range []struct {
		from string
		n    uint32
		want string
	}{{"10.0.0.255", 1, "10.0.1.0"}, {"10.0.0.0", 1 << 24, "11.0.0.0"}, {"255.255.255.255", 1, "invalid IP"}, {"fd00::ffff", 1<<30 + 1, "fd00::4001:0"}, {"10.1.2.3", 0, "10.1.2.3"}} {
		if got := plus(netip.MustParseAddr(c.from), c.n).String(); got != c.want {
			t.Errorf("%s plus %d is %s, want %s", c.from, c.n, got, c.want)
		}
	}
}

// What goes away is tried again; what somebody has to correct is not.
func TestTransient(t *testing.T) {
	for _, c := range []struct {
		err  error
		want bool
	}{
		{rpctypes.ErrInvalidAuthToken, true},
		{status.Error(codes.FailedPrecondition, "rpc error: code = Unauthenticated desc = etcdserver: invalid auth token"), true}, // from a watch
		{rpctypes.ErrNoLeader, true},
		{status.Error(codes.Unknown, "raft: stopped"), true},
		{status.Error(codes.Unknown, "raft: proposal dropped by a rule"), false},
		{rpctypes.ErrPermissionDenied, false},
		{status.Error(codes.FailedPrecondition, "rpc error: code = PermissionDenied desc = etcdserver: permission denied"), false},
	} {
		if got := transient(c.err); got != c.want {
			t.Errorf("%v: %v, want %v", c.err, got, c.want)
		}
	}
}

// Who may not write the ceiling is told to allow that key, and no others.
func TestCeilingIsDenied(t *testing.T) {
	c := &Cluster{endpoints: "a:2379", prefix: "/wgd/"}
	if got, want := c.oneKey(c.explain(rpctypes.ErrPermissionDenied), "/wgd/stamp_ceiling").Error(), "grant-permission ROLE write /wgd/stamp_ceiling"; !strings.HasSuffix(got, want) {
		t.Errorf("%s, want %s", got, want)
	}
	if got, want := c.oneKey(c.explain(rpctypes.ErrNoSpace), "/wgd/stamp_ceiling").Error(), "etcdctl alarm disarm"; !strings.HasSuffix(got, want) {
		t.Errorf("%s, want %s", got, want)
	}
}
