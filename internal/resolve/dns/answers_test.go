package dns_test

import (
	"context"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/net/dns/dnsmessage"

	"wgd/internal/resolve/dns"
	"wgd/internal/resolve/dns/dnstest"
)

// Whoever guesses answers without seeing the question changes nothing: answers with
// a wrong id, name, type, or that are questions, are ignored; after many of them the
// question is asked over TCP.
func TestForgedAnswers(t *testing.T) {
	forged := func(q dnsmessage.Question, answer []byte, change func(m *dnsmessage.Message)) []byte {
		var m dnsmessage.Message
		if err := m.Unpack(answer); err != nil {
			panic(err)
		}
		for i := range m.Answers {
			if q.Type == dnsmessage.TypeA {
				m.Answers[i].Body = &dnsmessage.AResource{A: [4]byte{203, 0, 113, 66}}
			}
		}
		change(&m)
		b, err := m.Pack()
		if err != nil {
			panic(err)
		}
		return b
	}
	changes := []func(m *dnsmessage.Message){
		func(m *dnsmessage.Message) { m.ID++ },
		func(m *dnsmessage.Message) { m.Response = false },
		func(m *dnsmessage.Message) { m.OpCode = 4 },
		func(m *dnsmessage.Message) { m.Questions[0].Name = dnsmessage.MustNewName("other.example.") },
		func(m *dnsmessage.Message) { m.Questions[0].Type = dnsmessage.TypeMX },
		func(m *dnsmessage.Message) { m.Questions[0].Class = dnsmessage.ClassCHAOS },
		func(m *dnsmessage.Message) { m.Questions = nil },
		func(m *dnsmessage.Message) { m.Questions = append(m.Questions, m.Questions[0]) },
	}
	for _, times := range []int{1, 10} {
		s := dnstest.Start(t)
		s.SetAddrs("a.example", 10, "192.0.2.1")
		var tcp atomic.Int32
		s.Tamper(func(q dnsmessage.Question, answer []byte, overTCP bool) (list [][]byte) {
			if overTCP {
				tcp.Add(1)
				return [][]byte{answer}
			}
			for range times {
				for _, change := range changes {
					list = append(list, forged(q, answer, change), []byte("x"), nil)
				}
			}
			return append(list, answer)
		})
		c := dns.New(s.Files(t))
		if got := text(c.Lookup(context.Background(), "a.example")); got != "192.0.2.1 10s" {
			t.Errorf("%d times: %s", times, got)
		}
		if (tcp.Load() > 0) != (times > 1) {
			t.Errorf("%d times: %d questions over TCP", times, tcp.Load())
		}
	}
}

// Every question has an id of its own. (Its port is one that the kernel chooses at
// random.)
func TestIds(t *testing.T) {
	s := dnstest.Start(t)
	s.SetAddrs("a.example", 10, "192.0.2.1")
	var mu sync.Mutex
	ids := map[string]bool{}
	s.Tamper(func(_ dnsmessage.Question, answer []byte, _ bool) [][]byte {
		mu.Lock()
		defer mu.Unlock()
		ids[string(answer[:2])] = true
		return [][]byte{answer}
	})
	c := dns.New(s.Files(t))
	for range 50 {
		c.Lookup(context.Background(), "a.example")
	}
	mu.Lock()
	defer mu.Unlock()
	if len(ids) < 90 {
		t.Errorf("100 questions have %d ids", len(ids))
	}
}

// With the option edns0 questions say that long answers may come; a server that
// does not know this is asked without it.
func TestEDNS0(t *testing.T) {
	s := dnstest.Start(t)
	var long []string
	for i := range 30 { // over 512 bytes as AAAA records, but not over 1,232
		long = append(long, netip.AddrFrom16([16]byte{0x20, 1, 0xd, 0xb8, 15: byte(i)}).String())
	}
	s.SetAddrs("long.example", 10, long...)
	var tcp atomic.Int32
	s.Tamper(func(q dnsmessage.Question, answer []byte, overTCP bool) [][]byte {
		if overTCP {
			tcp.Add(1)
		}
		return [][]byte{answer}
	})
	server := "nameserver " + s.Addr.Addr().String()
	a, err := dns.New(s.Files(t, server, "options edns0")).Lookup(context.Background(), "long.example")
	if err != nil || len(a.Addresses) != len(long) || s.EDNS0() != 2 || tcp.Load() != 0 {
		t.Errorf("got %d addresses, %v, after %d questions with EDNS0 and %d over TCP", len(a.Addresses), err, s.EDNS0(), tcp.Load())
	}
	if _, err := dns.New(s.Files(t, server, "options use-vc")).Lookup(context.Background(), "long.example"); err != nil || tcp.Load() != 2 {
		t.Errorf("use-vc: %v, %d questions over TCP", err, tcp.Load())
	}

	old := dnstest.Start(t)
	old.SetAddrs("a.example", 10, "192.0.2.1")
	var first sync.Map
	old.Tamper(func(q dnsmessage.Question, answer []byte, _ bool) [][]byte {
		if _, again := first.LoadOrStore(q.Type, true); again {
			return [][]byte{answer}
		}
		return [][]byte{{answer[0], answer[1], 0x80, byte(dnsmessage.RCodeFormatError), 11: 0}} // only a header
	})
	c := dns.New(old.Files(t, server[:11]+old.Addr.Addr().String(), "options edns0"))
	if got := text(c.Lookup(context.Background(), "a.example")); got != "192.0.2.1 10s" || old.EDNS0() != 2 {
		t.Errorf("an old server: %s, %d questions with EDNS0", got, old.EDNS0())
	}
}

// A name with very many addresses is cut, and malformed answers count as those of a
// server that cannot tell.
func TestLongAndMalformedAnswers(t *testing.T) {
	s := dnstest.Start(t)
	var long []string
	for i := range 2000 {
		long = append(long, netip.AddrFrom4([4]byte{192, 0, byte(i >> 8), byte(i)}).String())
	}
	s.SetAddrs("long.example", 10, long[:400]...)
	s.SetAddrs("longer.example", 10, long...)
	s.Tamper(func(q dnsmessage.Question, answer []byte, _ bool) [][]byte {
		if strings.HasPrefix(q.Name.String(), "malformed") {
			return [][]byte{answer[:len(answer)-1]}
		}
		return [][]byte{answer}
	})
	s.SetAddrs("malformed.example", 10, "192.0.2.1", "2001:db8::1")
	c := dns.New(s.Files(t))
	for _, name := range []string{"long.example", "longer.example"} {
		if a, err := c.Lookup(context.Background(), name); len(a.Addresses) != 32 {
			t.Errorf("%s: got %d addresses, %v, want 32", name, len(a.Addresses), err)
		}
	}
	if got := text(c.Lookup(context.Background(), "malformed.example")); got != "server failed" {
		t.Errorf("malformed.example: %s", got)
	}
}

// A server that knows nothing of a name and does not look it up for others is
// followed by the next one; it does not say that the name has no address.
func TestServerWithoutRecursion(t *testing.T) {
	s := dnstest.Start(t)
	s.Set("a.example", dnstest.Entry{})
	s.Tamper(func(_ dnsmessage.Question, answer []byte, _ bool) [][]byte {
		answer[3] &^= 0x80 // recursion available
		return [][]byte{answer}
	})
	c := dns.New(s.Files(t))
	if got := text(c.Lookup(context.Background(), "a.example")); got != "server failed" {
		t.Errorf("a server without recursion: %s", got)
	}
}

// The least TTL counts, also among the records of one name.
func TestDifferentTTLs(t *testing.T) {
	s := dnstest.Start(t)
	s.SetAddrs("a.example", 100, "192.0.2.1", "192.0.2.2", "192.0.2.3")
	s.Tamper(func(q dnsmessage.Question, answer []byte, _ bool) [][]byte {
		var m dnsmessage.Message
		if err := m.Unpack(answer); err != nil {
			panic(err)
		}
		if len(m.Answers) > 0 {
			m.Answers[1].Header.TTL = 7
		}
		b, err := m.Pack()
		if err != nil {
			panic(err)
		}
		return [][]byte{b}
	})
	c := dns.New(s.Files(t))
	if got := text(c.Lookup(context.Background(), "a.example")); got != "192.0.2.1 192.0.2.2 192.0.2.3 7s" {
		t.Errorf("got %s", got)
	}
}
