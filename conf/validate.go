package conf

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"wgd/internal/invalid"
	"wgd/internal/quote"
	"wgd/key"
)

// Limits of a Change. They bound the memory that a request takes.
const (
	MaxNameLen    = 63      // length of a peer's name in bytes
	MaxPeers      = 1 << 20 // peers in one Change
	MaxAllowedIPs = 1 << 22 // additions and removals of prefixes in one Change
)

// ErrInvalid is matched (errors.Is) by every error of Validate, ValidName,
// ValidInterfaceName and TunablesChange.Set. It means that the request is wrong
// whatever the state of the interface.
var ErrInvalid = invalid.Err

// Validate returns an error if c is wrong whatever the state of the interface.
// Apply of package wg calls it first, and also checks what depends on the
// state, for example whether a name belongs to another peer.
func (c *Change) Validate() error { // A59: nothing is changed on an error
	if len(c.Peers) > MaxPeers {
		return invalid.Errorf("%d peers in one request: the maximum is %d: split the request", len(c.Peers), MaxPeers)
	}
	if err := c.Tunables.validate(); err != nil {
		return err
	}
	prefixes := 0
	for i := range c.Peers {
		p := &c.Peers[i]
		if err := p.validate(); err != nil {
			return err
		}
		prefixes += len(p.AllowedIPs)
	}
	if prefixes > MaxAllowedIPs {
		return invalid.Errorf("%d allowed-ips in one request: the maximum is %d: split the request", prefixes, MaxAllowedIPs)
	}
	return c.validateNames()
}

// validateNames returns an error if two peers get the same name. For each peer
// the last PeerChange decides, so a name that a peer loses in this request, by
// another name or by its removal, is free for another one.
func (c *Change) validateNames() error {
	named := false
	for i := range c.Peers {
		named = named || c.Peers[i].Name != nil
	}
	if !named {
		return nil
	}
	names := make(map[key.Public]string)
	for i := range c.Peers {
		switch p := &c.Peers[i]; {
		case p.Remove:
			delete(names, p.PublicKey)
		case p.Name != nil:
			names[p.PublicKey] = *p.Name
		}
	}
	owners := make(map[string]key.Public, len(names))
	for public, name := range names {
		if name == "" {
			continue
		}
		if _, taken := owners[name]; taken {
			return invalid.Errorf("peer %s: the request gives this name to two peers: choose another for one of them", name)
		}
		owners[name] = public
	}
	return nil
}

func (p *PeerChange) validate() error {
	if p.Remove {
		return nil
	}
	if p.Name != nil && *p.Name != "" {
		if err := ValidName(*p.Name); err != nil {
			return err
		}
	}
	if p.Endpoint != nil {
		if err := validEndpoint(*p.Endpoint); err != nil {
			return invalid.Errorf("%s: endpoint %s: %v", p.label(), *p.Endpoint, err)
		}
	}
	if p.EndpointName != nil && *p.EndpointName != "" {
		if _, _, err := SplitEndpointName(*p.EndpointName); err != nil {
			return fmt.Errorf("%s: %w", p.label(), err)
		}
	}
	for _, a := range p.AllowedIPs {
		if !a.Prefix.IsValid() {
			return invalid.Errorf("%s: allowed-ips: not a prefix: write ADDRESS/LENGTH", p.label())
		}
	}
	return nil
}

// label identifies the peer in an error: by its new name, which is valid, or by
// the beginning of its key.
func (p *PeerChange) label() string {
	if p.Name != nil && *p.Name != "" {
		return "peer " + *p.Name
	}
	return fmt.Sprintf("peer %x", p.PublicKey[:4])
}

func validEndpoint(ap netip.AddrPort) error {
	if !ap.Addr().IsValid() {
		return errors.New("no address: write HOST:PORT")
	}
	if ap.Port() == 0 {
		return errors.New("no datagram reaches port 0: give the port on which the peer listens")
	}
	return nil
}

// ValidName returns an error if name cannot be the name of a peer.
func ValidName(name string) error {
	switch {
	case name == "":
		return invalid.Errorf("a peer's name is empty: give 1 to %d letters, digits and ._@-", MaxNameLen)
	case key.IsEncoded(name): // it is too long or contains =, so no valid name is refused here
		return invalid.Errorf("a peer's name was expected, but this is a key: give a name of 1 to %d letters, digits and ._@-", MaxNameLen)
	case len(name) > MaxNameLen:
		return invalid.Errorf("peer %s: the name has %d bytes: the maximum is %d", quote.Name(name), len(name), MaxNameLen)
	}
	for _, c := range name {
		if c > '~' || !nameByte(byte(c)) {
			return invalid.Errorf("peer %s: %q is not allowed in a name: use letters, digits and ._@-", quote.Name(name), c)
		}
	}
	return nil
}

func nameByte(c byte) bool {
	return letterOrDigit(c) || c == '.' || c == '_' || c == '@' || c == '-'
}

func letterOrDigit(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}

// MaxInterfaceName is the maximum length of an interface's name in bytes
// (IFNAMSIZ - 1).
const MaxInterfaceName = 15

// ValidInterfaceName returns an error if name cannot be the name of an
// interface. Every name that it accepts is safe in a path, and wg-quick accepts
// it, too.
func ValidInterfaceName(name string) error {
	if name == "" {
		return invalid.Errorf("interface %q: a name has 1 to %d bytes", name, MaxInterfaceName)
	}
	if len(name) > MaxInterfaceName { // do not print all of it: it may be a key
		return invalid.Errorf("interface %q: this name has %d bytes: the maximum is %d", quote.Text(name), len(name), MaxInterfaceName)
	}
	if name == "." || name == ".." {
		return invalid.Errorf("interface %q: this is the name of a directory: choose another, wg0 for example", name)
	}
	if name == "all" || name == "default" {
		return invalid.Errorf("interface %q: for the kernel and wg(8) this name means all interfaces: choose another, wg0 for example", name)
	}
	if name[0] == '-' {
		return invalid.Errorf("interface %q: commands would take this name for an option: begin it with a letter, as in wg0", name)
	}
	for _, c := range name {
		if c > '~' || !letterOrDigit(byte(c)) && !strings.ContainsRune("_=+.-", c) {
			return invalid.Errorf("interface %q: %q is not allowed in a name: use letters, digits and _=+.-", name, c)
		}
	}
	return nil
}
