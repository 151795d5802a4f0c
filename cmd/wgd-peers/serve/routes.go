package serve

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"sync"
	"time"

	"wgd/key"
)

// Routes are those of the peers of interfaces, for programs that announce them to others.
type Routes interface {
	// Change removes routes towards an interface, and then adds others. A route that is gone
	// or there already is no error. It returns those that could not be changed, with the error
	// about the first one. The error is ErrNoInterface if the interface has no routes.
	Change(name string, remove, add []netip.Prefix) (failed []netip.Prefix, err error)
	// Each calls f for each route towards an interface, also if a process that has ended has
	// added it.
	Each(name string, f func(netip.Prefix)) error
}

// ErrNoInterface means that an interface is down or not there, so that it has no routes.
var ErrNoInterface = errors.New("the interface is down, or not on this computer")

const (
	// routesPause is the time before what could not be changed is tried again. It doubles each
	// time, up to longRoutesPause: the kernel may refuse a route for good.
	routesPause     = time.Second
	longRoutesPause = time.Minute
	// comparePause is the time between two comparisons of all routes, for what somebody else has
	// removed.
	comparePause = 5 * time.Minute
	// withdrawals is how often all routes are removed at the end, at most.
	withdrawals = 5
	// routesAtOnce is how many routes one call changes.
	routesAtOnce = 4096
)

// A route is a prefix: its length, plus ipv6Route if it is one of IPv6, and its address. There
// may be hundreds of thousands.
type route [17]byte

const ipv6Route = 64

func routeOf(p netip.Prefix) (r route) {
	r[0] = byte(p.Bits())
	if p.Addr().Is6() {
		r[0] += ipv6Route
	}
	copy(r[1:], p.Addr().AsSlice())
	return r
}

func (r *route) prefix() netip.Prefix {
	if r[0] >= ipv6Route {
		return netip.PrefixFrom(netip.AddrFrom16([16]byte(r[1:])), int(r[0]-ipv6Route))
	}
	return netip.PrefixFrom(netip.AddrFrom4([4]byte(r[1:])), int(r[0]))
}

// routesOf returns prefixes as a peer keeps them, one after the other: without the zeros at
// the end of a route of IPv4.
func routesOf(prefixes []netip.Prefix) string {
	var b []byte
	for _, p := range prefixes {
		r := routeOf(p)
		b = append(b, r[:r.length()]...)
	}
	return string(b)
}

func (r *route) length() int {
	if r[0] >= ipv6Route {
		return len(r)
	}
	return 5
}

// eachRoute calls f for what routesOf has returned.
func eachRoute(routes string, f func(route)) {
	for len(routes) > 0 {
		r := route{routes[0]}
		n := r.length()
		copy(r[:], routes[:n])
		f(r)
		routes = routes[n:]
	}
}

// announced are the routes that an interface should have. Only changes are told to the kernel,
// unless all may have to be compared.
type announced struct {
	mu      sync.Mutex
	peers   map[route]uint16 // how many have it: two for a moment, when it moves
	changed map[route]struct{}
	failed  map[route]struct{} // are to be tried again later
	all     bool
	wake    chan struct{} // has an element if there is something to do
}

// take replaces the routes of a peer.
func (a *announced) take(before, after string) {
	if a == nil || before == after {
		return
	}
	a.mu.Lock()
	eachRoute(before, func(r route) {
		if a.peers[r]--; a.peers[r] == 0 {
			delete(a.peers, r)
		}
		a.changed[r] = struct{}{}
	})
	eachRoute(after, func(r route) {
		a.peers[r]++
		a.changed[r] = struct{}{}
	})
	a.mu.Unlock()
	a.signal()
}

// compareAll has all routes compared with those of the kernel.
func (a *announced) compareAll() {
	if a == nil {
		return
	}
	a.mu.Lock()
	a.all = true
	a.mu.Unlock()
	a.signal()
}

func (a *announced) signal() {
	select {
	case a.wake <- struct{}{}:
	default:
	}
}

// next returns what is to be done: routes to remove and to add, or that all are to be compared.
func (a *announced) next() (remove, add []netip.Prefix, all bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.all {
		a.all, a.changed, a.failed = false, map[route]struct{}{}, map[route]struct{}{}
		return nil, nil, true
	}
	for r := range a.changed {
		if len(remove)+len(add) == routesAtOnce {
			return remove, add, false
		}
		if a.peers[r] > 0 {
			add = append(add, r.prefix())
		} else {
			remove = append(remove, r.prefix())
		}
		delete(a.changed, r)
		delete(a.failed, r)
	}
	a.changed = map[route]struct{}{} // a map keeps the size that it had
	return remove, add, false
}

// compare returns what the kernel has too much. What it lacks is changed then.
func (a *announced) compare(each func(func(netip.Prefix)) error) (remove []netip.Prefix, err error) {
	there := map[route]struct{}{}
	err = each(func(p netip.Prefix) { there[routeOf(p)] = struct{}{} })
	a.mu.Lock()
	defer a.mu.Unlock()
	for r := range a.peers {
		if _, ok := there[r]; !ok {
			a.changed[r] = struct{}{}
		}
		delete(there, r)
	}
	for r := range there {
		remove = append(remove, r.prefix())
	}
	return remove, err
}

// fail keeps routes that could not be changed. Without any, all are to be compared.
func (a *announced) fail(list []netip.Prefix) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.all = a.all || len(list) == 0
	for _, p := range list {
		a.failed[routeOf(p)] = struct{}{}
	}
}

// again has the routes changed that could not be changed.
func (a *announced) again() {
	a.mu.Lock()
	defer a.mu.Unlock()
	maps.Copy(a.changed, a.failed)
	clear(a.failed)
}

// announceAll keeps the routes of the interface as they should be, until ctx ends. Then it
// removes them.
func (s *served) announceAll(ctx context.Context) {
	routes := s.server.options.Routes
	var retry <-chan time.Time // nil: nothing has failed
	pause := routesPause
	compare := time.NewTicker(comparePause)
	defer compare.Stop()
	for {
		select {
		case <-ctx.Done():
			s.withdrawAll(routes)
			return
		case <-s.announced.wake:
		case <-compare.C:
			s.announced.compareAll()
		case <-retry:
			retry = nil
			s.announced.again()
		}
		err := s.announce(ctx, routes)
		switch {
		case errors.Is(err, ErrNoInterface):
			retry, pause = time.After(routesPause), routesPause
		case err != nil:
			s.server.complaints.add("routes", fmt.Sprintf("%s: some of its routes cannot be changed, and are tried again: %v", s.name, err))
			if retry == nil {
				retry, pause = time.After(pause), min(2*pause, longRoutesPause)
			}
		case retry == nil:
			pause = routesPause
		}
	}
}

// announce makes all changes of routes that are to be made. It returns the first error, and
// keeps for later what has failed: one route that the kernel refuses does no harm to others.
func (s *served) announce(ctx context.Context, routes Routes) (failure error) {
	s.mu.Lock()
	known := !s.connected.IsZero()
	s.mu.Unlock()
	for known && ctx.Err() == nil { // routes of peers that are not read yet should stay
		remove, add, all := s.announced.next()
		if all {
			var err error
			if remove, err = s.announced.compare(func(f func(netip.Prefix)) error { return routes.Each(s.name, f) }); err != nil {
				s.announced.fail(nil)
				return err
			}
		} else if len(remove)+len(add) == 0 {
			break
		}
		failed, err := routes.Change(s.name, remove, add)
		if err == nil {
			continue
		}
		if s.announced.fail(failed); len(failed) == 0 {
			return err
		}
		if failure == nil {
			failure = err
		}
	}
	return failure
}

// withdrawAll removes all routes of the interface: those that it should have, and those that the
// kernel lists. A list that is read while others change the table may miss some, so it is read
// until there is none.
func (s *served) withdrawAll(routes Routes) {
	var list []netip.Prefix
	s.announced.mu.Lock()
	for r := range s.announced.peers {
		list = append(list, r.prefix())
	}
	s.announced.mu.Unlock()
	var err error
	for range withdrawals {
		if e := routes.Each(s.name, func(p netip.Prefix) { list = append(list, p) }); e != nil {
			err = e
			break
		}
		if len(list) == 0 {
			return
		}
		_, err = routes.Change(s.name, list, nil)
		list = list[:0]
	}
	if err != nil && !errors.Is(err, ErrNoInterface) {
		s.server.log.Warn(fmt.Sprintf("%s: its routes stay: %v", s.name, err))
	}
}

// forget removes a peer from those that the interface has. The caller holds mu.
func (s *served) forget(k key.Public) {
	if h := s.held[k]; h != nil {
		s.announced.take(h.routes, "")
		delete(s.held, k)
	}
}

// setRoutes says which routes a peer has that the interface has. The caller holds mu.
func (s *served) setRoutes(h *held, prefixes []netip.Prefix) {
	if s.announced == nil {
		return
	}
	after := routesOf(prefixes)
	s.announced.take(h.routes, after)
	h.routes = after
}
