// Package dnstest has a name server for tests, which a test can also make answer
// wrongly.
package dnstest

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"wgd/internal/resolve/dns"
	"wgd/internal/sys/netns"
)

// An Entry is what the server knows about a name.
type Entry struct {
	Addrs    []netip.Addr
	TTL      uint32
	Alias    string           // the name is an alias of this one; Addrs is empty
	RCode    dnsmessage.RCode // instead of an answer
	RCode6   dnsmessage.RCode // the same, for AAAA only
	Negative uint32           // the minimum in the SOA record of a negative answer; 0: no such record
	Delay    time.Duration
	Silent   bool // never answers
	Cut      bool // over UDP, only says that the answer is too long
	Unmapped bool // IPv4 addresses are also in AAAA records, as IPv4-mapped ones
}

// ServerFailure is the RCode of a server that cannot tell.
const ServerFailure = dnsmessage.RCodeServerFailure

// A Server answers over UDP and TCP. Any goroutine may use it.
type Server struct {
	Addr netip.AddrPort

	mu     sync.Mutex
	names  map[string]Entry
	asked  map[string]int
	edns0  int
	tamper func(q dnsmessage.Question, answer []byte, tcp bool) [][]byte
}

// Start starts a server at a free port of 127.0.0.1.
func Start(t testing.TB) *Server { return StartAt(t, netip.MustParseAddrPort("127.0.0.1:0")) }

// StartOn starts a server at port 53 of an address, in the network namespace of a process:
// that of a simulated host.
func StartOn(t testing.TB, pid int, at string) (s *Server) {
	t.Helper()
	ns, err := os.Open(fmt.Sprintf("/proc/%d/ns/net", pid))
	if err != nil {
		t.Fatal(err)
	}
	defer ns.Close()
	err = netns.Do(ns, func() error {
		s = StartAt(t, netip.AddrPortFrom(netip.MustParseAddr(at), 53))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// StartAt starts a server, which ends with the test.
func StartAt(t testing.TB, at netip.AddrPort) *Server {
	t.Helper()
	for {
		tcp, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(at))
		if err != nil {
			t.Fatal(err)
		}
		addr := tcp.Addr().(*net.TCPAddr).AddrPort()
		udp, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(addr))
		if err != nil {
			tcp.Close()
			if at.Port() == 0 {
				continue // the port is free for TCP only
			}
			t.Fatal(err)
		}
		s := Serve(t, udp, tcp)
		s.Addr = addr
		return s
	}
}

// Serve starts a server on these sockets, which it closes at the end of the test.
// Its Addr is not set.
func Serve(t testing.TB, udp net.PacketConn, tcp net.Listener) *Server {
	s := &Server{names: map[string]Entry{}, asked: map[string]int{}}
	var wait sync.WaitGroup
	wait.Go(func() { s.serveUDP(udp) })
	wait.Go(func() { s.serveTCP(tcp) })
	t.Cleanup(func() { tcp.Close(); udp.Close(); wait.Wait() })
	return s
}

// Set sets what the server knows about a name, which is written without the last
// dot. Names that are not set do not exist.
func (s *Server) Set(name string, e Entry) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.names[strings.ToLower(name)] = e
}

// SetAddrs sets the addresses of a name.
func (s *Server) SetAddrs(name string, ttl uint32, addrs ...string) {
	e := Entry{TTL: ttl}
	for _, a := range addrs {
		e.Addrs = append(e.Addrs, netip.MustParseAddr(a))
	}
	s.Set(name, e)
}

// Tamper sets a function that is given each answer and returns what is sent
// instead: any number of messages.
func (s *Server) Tamper(f func(q dnsmessage.Question, answer []byte, tcp bool) [][]byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tamper = f
}

// Asked returns how many questions there were about a name.
func (s *Server) Asked(name string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked[strings.ToLower(name)]
}

// EDNS0 returns how many questions there were with EDNS0.
func (s *Server) EDNS0() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.edns0
}

// Files writes a resolv.conf that names servers, with more lines, and returns the
// configuration for a Client. It is in a folder of its own, and all servers have
// the port of s.
func (s *Server) Files(t testing.TB, lines ...string) dns.Files {
	t.Helper()
	dir := t.TempDir()
	f := dns.Files{
		ResolvConf: filepath.Join(dir, "resolv.conf"), Hosts: filepath.Join(dir, "hosts"),
		NSSwitch: filepath.Join(dir, "nsswitch.conf"), Upstream: filepath.Join(dir, "upstream"), Port: s.Addr.Port(),
	}
	if len(lines) == 0 {
		lines = []string{"nameserver " + s.Addr.Addr().String(), "search ."}
	}
	Write(t, f.ResolvConf, lines...)
	return f
}

// Write writes the lines of a file.
func Write(t testing.TB, path string, lines ...string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
}

func (s *Server) serveUDP(conn net.PacketConn) {
	b := make([]byte, 65535)
	var wait sync.WaitGroup
	defer wait.Wait()
	for {
		n, from, err := conn.ReadFrom(b)
		if err != nil {
			return
		}
		question := append([]byte(nil), b[:n]...)
		wait.Go(func() {
			for _, answer := range s.answers(question, false) {
				conn.WriteTo(answer, from)
			}
		})
	}
}

func (s *Server) serveTCP(listener net.Listener) {
	var wait sync.WaitGroup
	defer wait.Wait()
	for {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		wait.Go(func() {
			defer conn.Close()
			conn.SetDeadline(time.Now().Add(30 * time.Second))
			for { // a client may ask more than once
				var length [2]byte
				if _, err := io.ReadFull(conn, length[:]); err != nil {
					return
				}
				question := make([]byte, binary.BigEndian.Uint16(length[:]))
				if _, err := io.ReadFull(conn, question); err != nil {
					return
				}
				for _, answer := range s.answers(question, true) {
					conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(answer))), answer...))
				}
			}
		})
	}
}

// answers returns the messages that answer a question.
func (s *Server) answers(b []byte, tcp bool) [][]byte {
	var m dnsmessage.Message
	if err := m.Unpack(b); err != nil || len(m.Questions) != 1 {
		return nil
	}
	q := m.Questions[0]
	name := strings.ToLower(strings.TrimSuffix(q.Name.String(), "."))
	s.mu.Lock()
	s.asked[name]++
	if len(m.Additionals) > 0 {
		s.edns0++
	}
	e, exists := s.names[name]
	reply, tamper := s.reply(m.ID, q, name), s.tamper
	s.mu.Unlock()
	time.Sleep(e.Delay)
	if e.Silent {
		return nil
	}
	switch {
	case q.Type == dnsmessage.TypeAAAA && e.RCode6 != 0:
		reply.RCode = e.RCode6
	case e.RCode != 0:
		reply.RCode = e.RCode
	case !exists:
		reply.RCode = dnsmessage.RCodeNameError
	}
	if reply.RCode != 0 && reply.RCode != dnsmessage.RCodeNameError {
		reply.Answers, reply.Authorities = nil, nil
	}
	if e.Cut && !tcp {
		reply.Truncated, reply.Answers = true, nil
	}
	packed := pack(reply)
	limit := plainSize
	if len(m.Additionals) > 0 {
		limit = int(m.Additionals[0].Header.Class) // EDNS0 puts the size there
	}
	for !tcp && len(packed) > limit {
		reply.Truncated, reply.Answers = true, reply.Answers[:len(reply.Answers)-1]
		packed = pack(reply)
	}
	if tamper != nil {
		return tamper(q, packed, tcp)
	}
	return [][]byte{packed}
}

// plainSize is how long an answer over UDP is at most without EDNS0.
const plainSize = 512

func pack(m dnsmessage.Message) []byte {
	b, err := m.Pack()
	if err != nil {
		panic(err)
	}
	return b
}

// reply makes the answer from what the server knows.
func (s *Server) reply(id uint16, q dnsmessage.Question, name string) dnsmessage.Message {
	m := dnsmessage.Message{
		Header:    dnsmessage.Header{ID: id, Response: true, RecursionDesired: true, RecursionAvailable: true},
		Questions: []dnsmessage.Question{q},
	}
	owner, first := q.Name, s.names[name]
	e := first
	for range 20 {
		if e.Alias == "" {
			break
		}
		target := dnsmessage.MustNewName(e.Alias + ".")
		m.Answers = append(m.Answers, resource(owner, dnsmessage.TypeCNAME, e.TTL, &dnsmessage.CNAMEResource{CNAME: target}))
		owner, e = target, s.names[strings.ToLower(e.Alias)]
	}
	for _, a := range e.Addrs {
		switch {
		case a.Is4() && q.Type == dnsmessage.TypeA:
			m.Answers = append(m.Answers, resource(owner, q.Type, e.TTL, &dnsmessage.AResource{A: a.As4()}))
		case (a.Is6() || e.Unmapped) && q.Type == dnsmessage.TypeAAAA:
			m.Answers = append(m.Answers, resource(owner, q.Type, e.TTL, &dnsmessage.AAAAResource{AAAA: a.As16()}))
		}
	}
	if negative := max(first.Negative, e.Negative); negative > 0 {
		root := dnsmessage.MustNewName(".")
		m.Authorities = append(m.Authorities, resource(root, dnsmessage.TypeSOA, 2*negative, &dnsmessage.SOAResource{NS: root, MBox: root, MinTTL: negative}))
	}
	return m
}

func resource(name dnsmessage.Name, kind dnsmessage.Type, ttl uint32, body dnsmessage.ResourceBody) dnsmessage.Resource {
	return dnsmessage.Resource{Header: dnsmessage.ResourceHeader{Name: name, Type: kind, Class: dnsmessage.ClassINET, TTL: ttl}, Body: body}
}
