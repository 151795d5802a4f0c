package resolve

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"
)

// As many retries as wg(8): fifteen, with pauses that grow from one second.
const (
	DefaultRetries = 15
	firstPause     = time.Second
	maxPause       = 20 * time.Second
)

// Lookup is the part of *net.Resolver that a Resolver needs.
type Lookup interface {
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
	LookupPort(ctx context.Context, network, service string) (int, error)
}

// A Resolver looks up names.
type Resolver struct {
	Lookup  Lookup // nil: net.DefaultResolver
	Retries int    // how often a lookup that failed temporarily is repeated

	// Waiting is called before the pause that precedes each retry; may be nil.
	Waiting func(Retry)

	// Pause waits for d, in tests; nil: in real time.
	Pause func(ctx context.Context, d time.Duration) error
}

// A Retry describes a lookup that failed temporarily, and the next one.
type Retry struct {
	Host              string
	Err               error         // why the lookup failed, in words for people
	Pause             time.Duration // until the next lookup
	Attempt, Attempts int           // the next lookup is number Attempt of at most Attempts
}

// Resolve returns the addresses of an endpoint, best first: at least one unless
// there is an error. A name that does not exist is an error at once; other
// failures count as temporary.
func (r *Resolver) Resolve(ctx context.Context, endpoint string) ([]netip.AddrPort, error) {
	e, err := Parse(endpoint)
	if err != nil {
		return nil, err
	}
	if literal, ok := e.Literal(); ok {
		return []netip.AddrPort{literal}, nil
	}
	port, err := r.lookup().LookupPort(ctx, "udp", e.Port)
	if err != nil || port <= 0 || port > 65535 {
		return nil, fmt.Errorf("endpoint %s: %q is not a port: give a number from 1 to 65535", e, e.Port)
	}
	addrs, err := r.lookUpHost(ctx, e)
	if err != nil {
		return nil, err
	}
	result := make([]netip.AddrPort, len(addrs))
	for i, a := range addrs {
		result[i] = netip.AddrPortFrom(a.Unmap(), uint16(port))
	}
	return result, nil
}

// lookUpHost looks up the host until that succeeds, the host does not exist, or
// all retries have failed.
func (r *Resolver) lookUpHost(ctx context.Context, e Endpoint) ([]netip.Addr, error) {
	pause := firstPause
	for try := 0; ; try++ {
		addrs, err := r.addresses(ctx, e.Host)
		switch {
		case err == nil:
			return addrs, nil
		case ctx.Err() != nil:
			return nil, fmt.Errorf("endpoint %s: the lookup was cancelled: %w", e, context.Cause(ctx))
		case notFound(err):
			return nil, fmt.Errorf("endpoint %s: there is no host of this name: correct it, or give an address", e)
		case try >= r.Retries:
			return nil, fmt.Errorf("endpoint %s: tried %d times: the name cannot be looked up now, %w: try again later, or give an address",
				e, try+1, reason{err})
		}
		if r.Waiting != nil {
			r.Waiting(Retry{Host: e.Host, Err: reason{err}, Pause: pause, Attempt: try + 2, Attempts: r.Retries + 1})
		}
		if err := r.pause(ctx, pause); err != nil {
			return nil, fmt.Errorf("endpoint %s: the lookup was cancelled: %w", e, err)
		}
		pause = min(pause*6/5, maxPause)
	}
}

// addresses does one lookup. A host that is an address needs none: only its port
// was a name.
func (r *Resolver) addresses(ctx context.Context, host string) ([]netip.Addr, error) {
	if addr, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{addr}, nil
	}
	addrs, err := r.lookup().LookupNetIP(ctx, "ip", host)
	if err == nil && len(addrs) == 0 {
		err = &net.DNSError{Err: "no addresses", Name: host, IsNotFound: true}
	}
	return addrs, err
}

// notFound reports whether the answer was that there is no such host. All other
// failures, such as a network that is not up yet, count as temporary.
func notFound(err error) bool {
	var dns *net.DNSError
	return errors.As(err, &dns) && dns.IsNotFound
}

// reason is an error of a lookup whose text names the server that failed.
type reason struct{ err error }

func (r reason) Error() string {
	var dns *net.DNSError
	if !errors.As(r.err, &dns) {
		return r.err.Error()
	}
	server := "the name server"
	if dns.Server != "" {
		server += " " + dns.Server
	}
	if dns.IsTimeout {
		return server + " does not answer"
	}
	return server + ": " + dns.Err
}

func (r reason) Unwrap() error { return r.err }

func (r *Resolver) lookup() Lookup {
	if r.Lookup != nil {
		return r.Lookup
	}
	return net.DefaultResolver
}

func (r *Resolver) pause(ctx context.Context, d time.Duration) error {
	if r.Pause != nil {
		return r.Pause(ctx, d)
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return nil
	}
}
