package proxy

import (
	"net/netip"
	"time"
)

const (
	nameLifetime = time.Minute
	maxNames     = 64        // of one association
	maxWaiting   = 8         // datagrams for one name
	maxBytes     = 256 << 10 // of the waiting datagrams of one association
)

// A nameCache has the addresses of the names to which one client sends
// datagrams, and the datagrams that wait for an address.
type nameCache map[string]*cachedName

type cachedName struct {
	addr    netip.Addr // not valid during the first lookup
	busy    bool       // a lookup is in progress
	expires time.Time
	waiting []waitingDatagram
}

type waitingDatagram struct {
	port uint16
	data []byte
}

// find returns the address of a name. If there is none yet, it keeps a copy of
// data. It reports whether the caller must look the name up.
func (c *nameCache) find(now time.Time, to target, data []byte) (addr netip.Addr, begin bool) {
	if *c == nil {
		*c = nameCache{}
	}
	n := (*c)[to.name]
	if n == nil {
		if !c.makeSpace(now) {
			return addr, false
		}
		n = &cachedName{}
		(*c)[to.name] = n
	}
	if !n.busy && !now.Before(n.expires) {
		n.busy, begin = true, true
	}
	if !n.addr.IsValid() && len(n.waiting) < maxWaiting && c.bytes()+len(data) <= maxBytes {
		n.waiting = append(n.waiting, waitingDatagram{to.port, append([]byte(nil), data...)})
	}
	return n.addr, begin
}

// bytes returns how many bytes wait for addresses.
func (c *nameCache) bytes() (n int) {
	for _, name := range *c {
		for _, d := range name.waiting {
			n += len(d.data)
		}
	}
	return n
}

// makeSpace removes a name if there are too many, one that has expired if there
// is one. It returns false if all are being looked up.
func (c *nameCache) makeSpace(now time.Time) bool {
	if len(*c) < maxNames {
		return true
	}
	remove, found := "", false
	for name, n := range *c {
		if !n.busy {
			remove, found = name, true
			if !now.Before(n.expires) {
				break
			}
		}
	}
	if found {
		delete(*c, remove)
	}
	return found
}

// found ends a lookup. It returns the datagrams that waited. A name without an
// address is forgotten.
func (c *nameCache) found(now time.Time, name string, addr netip.Addr) []waitingDatagram {
	n := (*c)[name]
	waiting := n.waiting
	if !addr.IsValid() {
		delete(*c, name)
		return waiting
	}
	n.addr, n.busy, n.expires, n.waiting = addr, false, now.Add(nameLifetime), nil
	return waiting
}
