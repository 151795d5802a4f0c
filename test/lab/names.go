package lab

import (
	"net"
	"net/netip"
	"strings"

	"golang.org/x/net/dns/dnsmessage"
)

// A NameServer is a name server on a host, over UDP and IPv4.
type NameServer struct {
	host *Host
	id   int
}

// ServeNames starts a name server at port 53 of an address, or of all addresses if it is
// "". It knows these names, each with an IPv4 address, and no others.
func (h *Host) ServeNames(at string, names map[string]string) *NameServer {
	h.t.Helper()
	return &NameServer{h, call[ServedNames, int](h, "ServeNames", ServedNames{at, names})}
}

// Asked returns how many questions there were about a name.
func (s *NameServer) Asked(name string) int {
	s.host.t.Helper()
	return call[AskedName, int](s.host, "Asked", AskedName{s.id, name})
}

// ServedNames are the arguments of ServeNames.
type ServedNames struct {
	At    string
	Names map[string]string
}

// AskedName are the arguments of Asked.
type AskedName struct {
	Server int
	Name   string
}

// names is a name server.
type names struct {
	addrs map[string]netip.Addr
	asked map[string]int // guarded by Agent.mu
}

func (g *Agent) ServeNames(s ServedNames, id *int) error {
	n := &names{addrs: map[string]netip.Addr{}, asked: map[string]int{}}
	for name, addr := range s.Names {
		parsed, err := netip.ParseAddr(addr)
		if err != nil {
			return err
		}
		n.addrs[name] = parsed
	}
	conn, err := net.ListenPacket("udp4", net.JoinHostPort(s.At, "53"))
	if err != nil {
		return err
	}
	*id = g.keep(n)
	go g.serveNames(n, conn)
	return nil
}

func (g *Agent) Asked(a AskedName, count *int) error {
	n, err := opened[*names](g, a.Server)
	if err != nil {
		return err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	*count = n.asked[a.Name]
	return nil
}

func (g *Agent) serveNames(n *names, conn net.PacketConn) {
	buf := make([]byte, 1<<16)
	for {
		size, from, err := conn.ReadFrom(buf)
		if err != nil {
			return
		}
		if answer, err := g.answer(n, buf[:size]); err == nil {
			conn.WriteTo(answer, from)
		}
	}
}

// answer answers a question.
func (g *Agent) answer(n *names, query []byte) ([]byte, error) {
	var p dnsmessage.Parser
	head, err := p.Start(query)
	if err != nil {
		return nil, err
	}
	q, err := p.Question()
	if err != nil {
		return nil, err
	}
	name := strings.ToLower(strings.TrimSuffix(q.Name.String(), "."))
	g.mu.Lock()
	n.asked[name]++
	g.mu.Unlock()
	m := dnsmessage.Message{
		Header:    dnsmessage.Header{ID: head.ID, Response: true, Authoritative: true, RecursionDesired: head.RecursionDesired, RecursionAvailable: true},
		Questions: []dnsmessage.Question{q},
	}
	addr, known := n.addrs[name]
	switch {
	case !known:
		m.RCode = dnsmessage.RCodeNameError
	case q.Type == dnsmessage.TypeA:
		m.Answers = []dnsmessage.Resource{{
			Header: dnsmessage.ResourceHeader{Name: q.Name, Class: dnsmessage.ClassINET, TTL: 3600},
			Body:   &dnsmessage.AResource{A: addr.As4()},
		}}
	}
	return m.Pack()
}
