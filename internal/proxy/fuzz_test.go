package proxy

import (
	"bytes"
	"net/netip"
	"testing"
)

// FuzzSOCKS5: whatever a client sends, its messages are read without more than
// belongs to them, and what was read means the same when it is written again.
func FuzzSOCKS5(f *testing.F) {
	for _, seed := range []string{
		"\x05\x01\x00\x05\x01\x00\x01\x7f\x00\x00\x01\x00\x50rest", "\x05\x02\x00\x02\x05\x01\x00\x03\x09localhost\x00\x50",
		"\x05\x00\x05\x03\x00\x04\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\x00\x35", "\x04\x01", "GET / HTTP/1.1", "",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		r := bytes.NewReader(data)
		methods, err := readGreeting(r)
		if err != nil {
			return
		}
		if used := len(data) - r.Len(); used != 2+len(methods) {
			t.Fatalf("%d bytes were read for %d methods", used, len(methods))
		}
		before := r.Len()
		req, err := readRequest(r)
		if err != nil || req.command == cmdAssociate {
			return
		}
		message := data[len(data)-before:][:before-r.Len()]
		if req.target.addr.IsValid() && message[3] != typeName {
			again := appendAddress([]byte{5, req.command, message[2]}, netip.AddrPortFrom(req.target.addr, req.target.port))
			back, size, err := parseAddress(again[3:])
			if err != nil || back != req.target || size != len(again)-3 {
				t.Fatalf("% x is %v, and % x is %v, %v", message, req.target, again, back, err)
			}
		}
		if _, err := newTarget(req.target.host(), req.target.port); err != nil {
			t.Fatalf("the target %v of % x is not valid: %v", req.target, message, err)
		}
	})
}

// FuzzCredentials: user name and password are read without what follows.
func FuzzCredentials(f *testing.F) {
	f.Add([]byte("\x01\x04anna\x06secretrest"))
	f.Add([]byte("\x01\x00\x00"))
	f.Add([]byte("\x05\x01a\x01b"))
	f.Fuzz(func(t *testing.T, data []byte) {
		r := bytes.NewReader(data)
		username, password, err := readCredentials(r)
		if err != nil {
			return
		}
		again := append(append([]byte{1, byte(len(username))}, username...), byte(len(password)))
		again = append(again, password...)
		if !bytes.Equal(data[:len(data)-r.Len()], again) {
			t.Fatalf("% x became % x", data, again)
		}
	})
}

// FuzzDatagram: the data of a datagram is its end, and its target is valid.
func FuzzDatagram(f *testing.F) {
	f.Add([]byte("\x00\x00\x00\x01\x7f\x00\x00\x01\x00\x35data"))
	f.Add([]byte("\x00\x00\x00\x03\x01a\x00\x35"))
	f.Add([]byte("\x00\x00\x01\x01\x7f\x00\x00\x01\x00\x35"))
	f.Add([]byte("\x00\x00\x00\x04"))
	f.Fuzz(func(t *testing.T, b []byte) {
		to, data, err := parseDatagram(b)
		if err != nil {
			return
		}
		if !bytes.HasSuffix(b, data) || b[2] != 0 {
			t.Fatalf("% x has the data % x", b, data)
		}
		if to.addr.IsValid() == (to.name != "") || to.addr.Is4In6() || to.addr.Zone() != "" {
			t.Fatalf("% x has the target %+v", b, to)
		}
	})
}

// FuzzTarget: a target is written as it is read.
func FuzzTarget(f *testing.F) {
	for _, seed := range []string{"a:1", "[::1]:80", "[::ffff:1.2.3.4]:80", "1.2.3.4:0", "[fe80::1%x]:1", ":1", "a", "[a]:1", "a:b:1"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		to, err := parseTarget(s)
		if err != nil {
			return
		}
		if again, err := parseTarget(to.String()); err != nil || again != to {
			t.Fatalf("%q is %v, and that is %v, %v", s, to, again, err)
		}
	})
}
