package dns

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

const (
	maxAddresses = 32  // of one name; the others are left out
	maxRecords   = 512 // of one message; the others are not read
	maxChain     = 16  // CNAME records on the way to an address

	// What we can receive by UDP when we say so (EDNS0), which passes everywhere
	// without fragments, and otherwise.
	ednsSize  = 1232
	plainSize = 512

	// maxTTL is when a name is asked for again at the latest.
	maxTTL = 24 * time.Hour
)

// A question is one message to a name server.
type question struct {
	id     uint16
	name   dnsmessage.Name
	family dnsmessage.Type // A or AAAA
	edns0  bool
}

func newQuestion(name dnsmessage.Name, family dnsmessage.Type, edns0 bool) question {
	var id [2]byte
	rand.Read(id[:]) // never fails
	return question{binary.BigEndian.Uint16(id[:]), name, family, edns0}
}

// pack returns the message, behind its length in two bytes, which only TCP needs.
func (q question) pack() ([]byte, error) {
	b := dnsmessage.NewBuilder(make([]byte, 2, 2+plainSize), dnsmessage.Header{ID: q.id, RecursionDesired: true})
	err := b.StartQuestions()
	if err == nil {
		err = b.Question(dnsmessage.Question{Name: q.name, Type: q.family, Class: dnsmessage.ClassINET})
	}
	if err == nil && q.edns0 {
		var header dnsmessage.ResourceHeader
		err = errors.Join(b.StartAdditionals(), header.SetEDNS0(ednsSize, dnsmessage.RCodeSuccess, false),
			b.OPTResource(header, dnsmessage.OPTResource{}))
	}
	if err != nil {
		return nil, err
	}
	m, err := b.Finish()
	if err != nil {
		return nil, err
	}
	binary.BigEndian.PutUint16(m, uint16(len(m)-2))
	return m, nil
}

// A response is the answer of a name server to one question.
type response struct {
	rcode     dnsmessage.RCode
	truncated bool
	lame      bool // it has no answer, and refers to servers that we do not ask
	addrs     []netip.Addr
	ttl       time.Duration // the least on the way to the addresses
	negative  time.Duration // without addresses: how long that holds; 0: unknown
}

// errNotOurs is the error for a message that does not answer the question. Anybody
// may have sent it.
var errNotOurs = errors.New("it does not answer our question")

var errMalformed = errors.New("its answer is malformed")

// parseResponse parses the answer to q.
func parseResponse(q question, b []byte) (response, error) {
	var p dnsmessage.Parser
	header, err := p.Start(b)
	if err != nil || !header.Response || header.ID != q.id || header.OpCode != 0 {
		return response{}, errNotOurs
	}
	r := response{rcode: header.RCode, truncated: header.Truncated}
	asked, err := p.AllQuestions()
	repeated := err == nil && len(asked) == 1 && asked[0].Class == dnsmessage.ClassINET && asked[0].Type == q.family &&
		strings.EqualFold(asked[0].Name.String(), q.name.String())
	switch {
	case err == nil && len(asked) == 0 && r.failed():
		return r, nil // a server that understood nothing repeats nothing
	case !repeated:
		return response{}, errNotOurs
	case r.failed():
		return r, nil
	}
	var c chain
	if err := c.read(&p, q); err != nil && !r.truncated {
		return response{}, fmt.Errorf("%w: %w", errMalformed, err)
	}
	r.addrs, r.ttl = c.follow(q.name)
	if len(r.addrs) == 0 && !r.truncated {
		r.lame = r.rcode == dnsmessage.RCodeSuccess && c.records == 0 && !header.Authoritative && !header.RecursionAvailable
		if r.negative, err = negativeTTL(&p); err != nil {
			return response{}, fmt.Errorf("%w: %w", errMalformed, err)
		}
	}
	return r, nil
}

// failed reports whether the server says nothing about the name.
func (r response) failed() bool {
	return r.rcode != dnsmessage.RCodeSuccess && r.rcode != dnsmessage.RCodeNameError
}

// A chain has the answers of a message: the addresses of each name, and the names
// that are aliases of others.
type chain struct {
	records   int
	addresses map[string]addresses
	aliases   map[string]alias
}

type addresses struct {
	list []netip.Addr
	ttl  time.Duration // the least
}

type alias struct {
	of  string
	ttl time.Duration
}

// read reads the answers. An error leaves those that were read before.
func (c *chain) read(p *dnsmessage.Parser, q question) error {
	c.addresses, c.aliases = map[string]addresses{}, map[string]alias{}
	for {
		header, err := p.AnswerHeader()
		if errors.Is(err, dnsmessage.ErrSectionDone) {
			return nil
		}
		if err != nil {
			return err
		}
		if c.records++; c.records > maxRecords {
			return nil
		}
		name, ttl := strings.ToLower(header.Name.String()), duration(header.TTL)
		var addr netip.Addr
		switch {
		case header.Class == dnsmessage.ClassINET && header.Type == q.family && q.family == dnsmessage.TypeA:
			record, failed := p.AResource()
			addr, err = netip.AddrFrom4(record.A), failed
		case header.Class == dnsmessage.ClassINET && header.Type == q.family:
			record, failed := p.AAAAResource()
			addr, err = netip.AddrFrom16(record.AAAA).Unmap(), failed // A54
		case header.Class == dnsmessage.ClassINET && header.Type == dnsmessage.TypeCNAME:
			record, failed := p.CNAMEResource()
			err = failed
			if _, twice := c.aliases[name]; err == nil && !twice {
				c.aliases[name] = alias{strings.ToLower(record.CNAME.String()), ttl}
			}
		default:
			err = p.SkipAnswer()
		}
		if err != nil {
			return err
		}
		if addr.IsValid() {
			c.add(name, addr, ttl)
		}
	}
}

func (c *chain) add(name string, addr netip.Addr, ttl time.Duration) {
	of, known := c.addresses[name]
	if !known {
		of.ttl = ttl
	}
	if len(of.list) < maxAddresses {
		of.list = appendNew(of.list, addr)
		of.ttl = min(of.ttl, ttl)
	}
	c.addresses[name] = of
}

// follow returns the addresses that name leads to, and the least TTL on the way.
func (c *chain) follow(name dnsmessage.Name) ([]netip.Addr, time.Duration) {
	at, ttl := strings.ToLower(name.String()), maxTTL
	for range maxChain + 1 {
		if of, ok := c.addresses[at]; ok {
			return of.list, min(ttl, of.ttl)
		}
		next, ok := c.aliases[at]
		if !ok {
			break
		}
		at, ttl = next.of, min(ttl, next.ttl)
	}
	return nil, 0
}

// negativeTTL returns for how long name servers remember that there is no such
// name or no address: RFC 2308 puts that into the SOA record. 0: it is not said.
func negativeTTL(p *dnsmessage.Parser) (time.Duration, error) {
	if err := p.SkipAllAnswers(); err != nil {
		return 0, err
	}
	for range maxRecords {
		header, err := p.AuthorityHeader()
		if errors.Is(err, dnsmessage.ErrSectionDone) {
			return 0, nil
		}
		if err != nil {
			return 0, err
		}
		if header.Type == dnsmessage.TypeSOA && header.Class == dnsmessage.ClassINET {
			soa, err := p.SOAResource()
			return min(duration(header.TTL), duration(soa.MinTTL)), err
		}
		if err := p.SkipAuthority(); err != nil {
			return 0, err
		}
	}
	return 0, nil
}

// duration returns a TTL of a message. One with the highest bit counts as 0
// (RFC 2181, section 8).
func duration(ttl uint32) time.Duration {
	if ttl > 1<<31-1 {
		return 0
	}
	return min(time.Duration(ttl)*time.Second, maxTTL)
}

// usable returns the addresses that a datagram can be sent to. Filters against
// advertising answer 0.0.0.0, which would be this computer.
func usable(list []netip.Addr) (result []netip.Addr) {
	for _, addr := range list {
		broadcast := addr == netip.AddrFrom4([4]byte{255, 255, 255, 255})
		if !addr.IsUnspecified() && !addr.IsMulticast() && !broadcast {
			result = append(result, addr)
		}
	}
	return result
}

func appendNew(list []netip.Addr, addr netip.Addr) []netip.Addr {
	if slices.Contains(list, addr) {
		return list
	}
	return append(list, addr)
}
