package dns

import (
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// resolv.conf is read as the C library reads it.
func TestParseResolvConf(t *testing.T) {
	plain := func(change func(c *resolvConf)) resolvConf {
		c := resolvConf{
			servers: []netip.Addr{netip.MustParseAddr("127.0.0.1")}, search: []string{"s"},
			ndots: 1, timeout: 5 * time.Second, attempts: 2,
		}
		change(&c)
		return c
	}
	for text, want := range map[string]resolvConf{
		"search s": plain(func(*resolvConf) {}),
		"nameserver 192.0.2.1\nnameserver fe80::1%lo\nnameserver ::ffff:192.0.2.2\nnameserver 192.0.2.4\nsearch s": plain(func(c *resolvConf) {
			c.servers = []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("fe80::1%lo"), netip.MustParseAddr("192.0.2.2")}
		}),
		"nameserver name.example\nnameserver\nnameserver 192.0.2.1 # a\n#nameserver 192.0.2.2\n;x\nsearch s": plain(func(c *resolvConf) {
			c.servers = []netip.Addr{netip.MustParseAddr("192.0.2.1")}
		}),
		" nameserver 192.0.2.1\nsearch s":                  plain(func(c *resolvConf) { c.servers = []netip.Addr{netip.MustParseAddr("192.0.2.1")} }),
		"search a b. a .\tc":                               plain(func(c *resolvConf) { c.search = []string{"a", "b", "c"} }),
		"search a\ndomain b c":                             plain(func(c *resolvConf) { c.search = []string{"b"} }),
		"domain b\nsearch a c":                             plain(func(c *resolvConf) { c.search = []string{"a", "c"} }),
		"search .":                                         plain(func(c *resolvConf) { c.search = nil }),
		"search 1 2 3 4 5 6 7":                             plain(func(c *resolvConf) { c.search = []string{"1", "2", "3", "4", "5", "6"} }),
		"search s\noptions ndots:0 timeout:0 attempts:0":   plain(func(c *resolvConf) { c.ndots, c.timeout, c.attempts = 0, time.Second, 1 }),
		"search s\noptions ndots:99 timeout:99 attempts:9": plain(func(c *resolvConf) { c.ndots, c.timeout, c.attempts = 15, 30*time.Second, 5 }),
		"search s\noptions ndots:-1 timeout:x attempts":    plain(func(*resolvConf) {}),
		"search s\noptions timeout:9223372036854775807":    plain(func(c *resolvConf) { c.timeout = 30 * time.Second }),
		"search s\noptions rotate single-request use-vc edns0 trust-ad unknown": plain(func(c *resolvConf) {
			c.rotate, c.single, c.tcp, c.edns0 = true, true, true, true
		}),
		"search s\noptions rotate\noptions ndots:3": plain(func(c *resolvConf) { c.rotate, c.ndots = true, 3 }),
	} {
		if got := parseResolvConf(text); !reflect.DeepEqual(got, want) {
			t.Errorf("%q:\ngot  %+v\nwant %+v", text, got, want)
		}
	}
}

// FuzzResolvConf: whatever the file says, all values are within their limits, and
// every name is asked for as it was written.
func FuzzResolvConf(f *testing.F) {
	for _, text := range []string{"", "nameserver 192.0.2.1\n", "search a b. .\noptions ndots:5 timeout:1 attempts:3 rotate", "domain x\r\n;\n#\noptions ndots:-9999999999999999999"} {
		f.Add(text, "host.example")
	}
	f.Fuzz(func(t *testing.T, text, host string) {
		c := parseResolvConf(text)
		if n := len(c.servers); n < 1 || n > maxServers || len(c.search) > maxSearch || c.ndots < 0 || c.ndots > maxNdots ||
			c.timeout < time.Second || c.timeout > maxTimeout || c.attempts < 1 || c.attempts > maxAttempts {
			t.Errorf("%q: %+v", text, c)
		}
		names, asWritten := c.names(host)
		if len(names) > maxSearch+1 || names[asWritten] != strings.TrimSuffix(host, ".") {
			t.Errorf("%q: the names for %q are %q, at %d", text, host, names, asWritten)
		}
	})
}

// nsswitch.conf gives the order of files and dns, and what follows a failure.
func TestParseNSSwitch(t *testing.T) {
	const files, dns = "files", "dns"
	for text, want := range map[string][]string{
		"":                                  {files, dns},
		"passwd: files":                     {files, dns},
		"hosts: files dns":                  {files, dns},
		" hosts :\tdns files # files":       {dns, files},
		"hosts: files":                      {files},
		"hosts: dns":                        {dns},
		"hosts: mdns4_minimal myhostname":   {files, dns},
		"hosts: files dns files":            {files, dns},
		"hosts: files [NOTFOUND=return]dns": {files + " 1 2", dns},
		"hosts: files mdns4_minimal [NOTFOUND=return] dns":           {files, dns},
		"hosts: resolve [!UNAVAIL=return] files myhostname dns":      {dns + " 1 2 3 4", files},
		"hosts: dns [notfound=RETURN tryagain=continue] files":       {dns + " 1 2", files},
		"hosts: dns [SUCCESS=continue !NOTFOUND=return] files [":     {dns + " 3 4 5", files},
		"hosts: dns [UNAVAIL=return UNAVAIL=continue UNAVAIL] files": {dns, files},
	} {
		var got []string
		for _, s := range parseNSSwitch(text) {
			name := dns
			if s.files {
				name = files
			}
			for kind := NotFound; kind <= NotAsked; kind++ {
				if s.endsAfter[kind] {
					name += " " + string('0'+rune(kind))
				}
			}
			got = append(got, name)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}

// FuzzNSSwitch: at least one source, each at most once.
func FuzzNSSwitch(f *testing.F) {
	for _, text := range []string{"hosts: files dns", "hosts: resolve [!UNAVAIL=return] files", "hosts:[]]files[dns"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		list := parseNSSwitch(text)
		if len(list) < 1 || len(list) > 2 || len(list) == 2 && list[0].files == list[1].files {
			t.Errorf("%q: %+v", text, list)
		}
	})
}

// FuzzHosts: every address is usable and belongs to its name.
func FuzzHosts(f *testing.F) {
	f.Add("127.0.0.1 localhost\n0.0.0.0 x # y\n::1 localhost ip6-localhost", "localhost")
	f.Fuzz(func(t *testing.T, text, host string) {
		list := parseHosts(text).lookup(host)
		if len(list) > maxAddresses {
			t.Errorf("%q: %d addresses", text, len(list))
		}
		for _, a := range list {
			if !a.IsValid() || a.IsUnspecified() || a.IsMulticast() || a.Is4In6() {
				t.Errorf("%q: %v", text, a)
			}
		}
	})
}

// FuzzResponse: no message makes parseResponse return what was not asked for. A
// message that is changed in the id or the question is not ours.
func FuzzResponse(f *testing.F) {
	q := question{id: 0x1234, name: dnsmessage.MustNewName("a.example."), family: dnsmessage.TypeAAAA}
	for _, m := range []dnsmessage.Message{
		{},
		{Answers: []dnsmessage.Resource{
			{Header: dnsmessage.ResourceHeader{Name: q.name, Type: dnsmessage.TypeCNAME, Class: dnsmessage.ClassINET, TTL: 5}, Body: &dnsmessage.CNAMEResource{CNAME: dnsmessage.MustNewName("b.example.")}},
			{Header: dnsmessage.ResourceHeader{Name: dnsmessage.MustNewName("b.example."), Type: dnsmessage.TypeAAAA, Class: dnsmessage.ClassINET, TTL: 1 << 31}, Body: &dnsmessage.AAAAResource{AAAA: [16]byte{1}}},
			{Header: dnsmessage.ResourceHeader{Name: q.name, Type: dnsmessage.TypeA, Class: dnsmessage.ClassINET}, Body: &dnsmessage.AResource{A: [4]byte{1}}},
		}},
		{Header: dnsmessage.Header{RCode: dnsmessage.RCodeNameError}, Authorities: []dnsmessage.Resource{
			{Header: dnsmessage.ResourceHeader{Name: q.name, Type: dnsmessage.TypeSOA, Class: dnsmessage.ClassINET, TTL: 5}, Body: &dnsmessage.SOAResource{NS: q.name, MBox: q.name, MinTTL: 7}}}},
	} {
		m.ID, m.Response = q.id, true
		m.Questions = []dnsmessage.Question{{Name: q.name, Type: q.family, Class: dnsmessage.ClassINET}}
		b, err := m.Pack()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := parseResponse(q, b)
		if err != nil {
			if len(r.addrs) > 0 || r.ttl != 0 || r.negative != 0 || r.truncated {
				t.Errorf("an error with a response: %v, %+v", err, r)
			}
			return
		}
		if len(r.addrs) > maxAddresses || r.ttl < 0 || r.ttl > maxTTL || r.negative < 0 || r.negative > maxTTL || r.failed() && len(r.addrs) > 0 {
			t.Errorf("%+v", r)
		}
		for _, a := range r.addrs {
			if v4 := a.Is4() && strings.Contains(string(b), string(netip.AddrFrom16(a.As16()).AsSlice())); !v4 && !strings.Contains(string(b), string(a.AsSlice())) {
				t.Errorf("%v is not in the message", a)
			}
		}
		other := slices.Clone(b)
		other[1]++
		if _, err := parseResponse(q, other); !errors.Is(err, errNotOurs) {
			t.Errorf("with another id: %v", err)
		}
		q := q
		q.name = dnsmessage.MustNewName("c.example.")
		if r, err := parseResponse(q, b); !errors.Is(err, errNotOurs) && !r.failed() {
			t.Errorf("for another name: %+v, %v", r, err)
		}
	})
}

// A file that has not changed is not read again.
func TestUnchangedFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	read := 0
	f := file[string]{path: path, parse: func(text string) string { read++; return text }}
	for age, want := range map[time.Duration]int{0: 3, time.Hour: 1} {
		at := time.Now().Add(-age)
		if err := os.Chtimes(path, at, at); err != nil {
			t.Fatal(err)
		}
		f.info, read = nil, 0
		for range 3 {
			f.read()
		}
		if read != want {
			t.Errorf("a file that is %v old was read %d times, want %d", age, read, want)
		}
	}
}
