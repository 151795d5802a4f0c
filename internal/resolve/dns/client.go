package dns

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"wgd/internal/sys/mark"
)

const (
	// maxLookup is how long a lookup takes at most, whatever resolv.conf says.
	maxLookup = 30 * time.Second

	// lastFor is how long a server that did not answer is the last to be asked.
	lastFor = 30 * time.Second
)

// Files say where the configuration of this computer is.
type Files struct {
	ResolvConf, Hosts, NSSwitch string

	// Upstream has the servers that systemd-resolved asks. If ResolvConf has only its
	// own address, and it does not answer or cannot tell, they are asked: it may be
	// asking through the tunnel whose endpoint is looked up.
	Upstream string

	Port uint16 // of all name servers: 53, except in tests
}

// System is where a Linux computer has its configuration.
var System = Files{
	ResolvConf: "/etc/resolv.conf", Hosts: "/etc/hosts", NSSwitch: "/etc/nsswitch.conf",
	Upstream: "/run/systemd/resolve/resolv.conf", Port: 53,
}

// An Answer is the result of a lookup.
type Answer struct {
	Addresses []netip.Addr  // at least one, IPv4-mapped ones as IPv4, in the order of the name server
	TTL       time.Duration // for how long they hold; 0: unknown

	// Without6 and Without4 say that nobody could tell the addresses of this family.
	Without6, Without4 bool
}

// A Client looks up names. Any goroutine may use it.
type Client struct {
	port       uint16
	resolvConf func() *resolvConf
	upstream   func() *resolvConf // the servers that a name server of this computer queries
	hosts      file[hosts]
	nsswitch   func() *[]source
	dial       func(ctx context.Context, mark uint32, network, address string) (net.Conn, error)
	mark       atomic.Uint32
	turn       atomic.Uint32 // counts lookups, for rotate

	mu     sync.Mutex
	silent map[netip.Addr]time.Time // servers that did not answer, and when
}

// New returns a Client for a computer's configuration.
func New(f Files) *Client {
	conf := &file[resolvConf]{path: f.ResolvConf, parse: parseResolvConf}
	upstream := &file[resolvConf]{path: f.Upstream, parse: parseResolvConf}
	nsswitch := &file[[]source]{path: f.NSSwitch, parse: parseNSSwitch}
	return &Client{
		port:       f.Port,
		resolvConf: conf.read,
		upstream:   upstream.read,
		hosts:      file[hosts]{path: f.Hosts, parse: parseHosts},
		nsswitch:   nsswitch.read,
		dial: func(ctx context.Context, m uint32, network, address string) (net.Conn, error) {
			dialer := net.Dialer{Control: mark.Control(m)}
			return dialer.DialContext(ctx, network, address)
		},
		silent: map[netip.Addr]time.Time{},
	}
}

// SetMark sets the firewall mark of all questions to come (A53); 0 is none. Every
// second time that a server is asked the question is not marked: a name server
// may be behind the tunnel.
func (c *Client) SetMark(mark uint32) { c.mark.Store(mark) }

// A Family is an address family, or both.
type Family uint8

const (
	Both Family = iota
	IPv4
	IPv6
)

// Lookup returns the addresses of host, or an *Error. It takes maxLookup at most.
func (c *Client) Lookup(ctx context.Context, host string) (Answer, error) {
	return c.LookupFamily(ctx, host, Both)
}

// LookupFamily is like Lookup, but queries name servers for one address family.
func (c *Client) LookupFamily(ctx context.Context, host string, family Family) (Answer, error) {
	ctx, cancel := context.WithTimeout(ctx, maxLookup)
	defer cancel()
	if addr, err := netip.ParseAddr(host); err == nil {
		return Answer{Addresses: []netip.Addr{addr.Unmap()}, TTL: maxTTL}, nil
	}
	failure := &Error{Name: host, Kind: NotFound}
	for _, from := range *c.nsswitch() {
		if from.files {
			if addrs := c.hosts.read().lookup(host); len(addrs) > 0 {
				return Answer{Addresses: addrs}, nil
			}
			failure = &Error{Name: host, Kind: NotFound, Cause: errors.New("it is not in " + c.hosts.path)}
		} else {
			l := lookup{client: c, conf: c.resolvConf(), host: host, family: family, turn: int(c.turn.Add(1) - 1)}
			var answer Answer
			if answer, failure = l.search(ctx); failure == nil {
				return answer, nil
			}
		}
		if from.endsAfter[failure.Kind] {
			break
		}
	}
	return Answer{}, failure
}

// A lookup asks the name servers for one host.
type lookup struct {
	client *Client
	conf   *resolvConf
	host   string
	family Family
	turn   int
}

// search asks for the names that the search list makes of the host, until one has
// addresses. A server that fails for a name of the search list is no reason to stop;
// for the name as it was written it is: another name may be another host.
func (l lookup) search(ctx context.Context) (Answer, *Error) {
	names, asWritten := l.conf.names(l.host)
	var failure *Error
	for i, full := range names {
		name, err := dnsmessage.NewName(full + ".")
		if err != nil || !valid(full) {
			err = errors.New("it is not a host name")
			failure = worse(failure, &Error{Name: l.host, Kind: NotAsked, Cause: err})
			continue
		}
		answer, failed := l.addresses(ctx, name)
		if failed == nil {
			return answer, nil
		}
		failure = worse(failure, failed)
		switch failed.Kind {
		case ServerFailed:
			if i == asWritten {
				return Answer{}, failure
			}
		case NoAnswer, NotAsked:
			return Answer{}, failure
		}
	}
	return Answer{}, failure
}

// valid reports whether a name can be in DNS. Names in other alphabets have to be
// written in their form with xn--.
func valid(name string) bool {
	length := 0
	for i := range len(name) {
		switch c := name[i]; {
		case c == '.':
			if length == 0 {
				return false
			}
			length = 0
			continue
		case c <= ' ', c >= 0x7f, c == '\\':
			return false
		}
		if length++; length > 63 {
			return false
		}
	}
	return length > 0 && len(name) <= 253
}

// worse returns what to tell about several names that all failed: that one of them
// may exist after all; else that one of them exists; else that none does.
func worse(a, b *Error) *Error {
	rank := func(e *Error) int {
		return slices.Index([]Kind{NotFound, NotAsked, NoAddress, ServerFailed, NoAnswer}, e.Kind)
	}
	if a == nil || rank(b) > rank(a) {
		return b
	}
	return a
}

// addresses queries the addresses of the family, or of both at once.
func (l lookup) addresses(ctx context.Context, name dnsmessage.Name) (Answer, *Error) {
	if l.family == Both {
		return l.both(ctx, name)
	}
	kind := dnsmessage.TypeA
	if l.family == IPv6 {
		kind = dnsmessage.TypeAAAA
	}
	r := l.ask(ctx, name, kind)
	if r.kind != 0 {
		failure := r.error(l.host)
		failure.Family = l.family
		return Answer{}, failure
	}
	return Answer{Addresses: r.addrs, TTL: min(maxTTL, r.ttl)}, nil
}

// both asks for the addresses of both families at once.
func (l lookup) both(ctx context.Context, name dnsmessage.Name) (Answer, *Error) {
	var six, four result
	if l.conf.single {
		four = l.ask(ctx, name, dnsmessage.TypeA)
		six = l.ask(ctx, name, dnsmessage.TypeAAAA)
	} else {
		var wait sync.WaitGroup
		wait.Go(func() { six = l.ask(ctx, name, dnsmessage.TypeAAAA) })
		four = l.ask(ctx, name, dnsmessage.TypeA)
		wait.Wait()
	}
	return join(l.host, six, four)
}

// join makes one answer of those for the two families.
func join(host string, six, four result) (Answer, *Error) {
	a := Answer{TTL: maxTTL, Without6: six.temporary(), Without4: four.temporary()}
	for _, r := range []result{six, four} {
		if r.kind == 0 {
			a.Addresses = append(a.Addresses, r.addrs...)
			a.TTL = min(a.TTL, r.ttl)
		}
	}
	if len(a.Addresses) > 0 {
		return a, nil
	}
	e := six.error(host)
	f := four.error(host)
	if e.Kind == f.Kind { // both hold: ask again when one ends
		f.TTL = min(e.TTL, f.TTL)
		return Answer{}, f
	}
	return Answer{}, worse(f, e)
}

// A result is what all servers together say to one question.
type result struct {
	kind   Kind // 0: there are addresses
	addrs  []netip.Addr
	ttl    time.Duration
	server netip.AddrPort
	cause  error
}

func (r result) temporary() bool { return r.kind >= ServerFailed }

func (r result) error(host string) *Error {
	return &Error{Name: host, Kind: r.kind, Server: r.server, TTL: r.ttl, Cause: r.cause}
}
