package conf

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"wgd/internal/invalid"
	"wgd/key"
)

// Limits of one Change, so that a request has a greatest size in memory.
const (
	MaxNameLen    = 63      // bytes of a peer's name
	MaxPeers      = 1 << 20 // A60: an interface has at least so many
	MaxAllowedIPs = 1 << 22 // additions and removals in one Change
)

// ErrInvalid is what every error of Validate, ValidName, ValidInterfaceName and
// TunablesChange.Set is (errors.Is): the request is wrong in itself, whatever the
// state of the interface.
var ErrInvalid = invalid.Err

// Validate says what is wrong with a Change in itself. Who applies it calls
// this first and changes nothing on an error (A59). What depends on the state
// of the interface (is this name another peer's?) is decided there.
func (c *Change) Validate() error {
	if len(c.Peers) > MaxPeers {
		return invalid.Errorf("%d peers in one request: the most is %d: split the request", len(c.Peers), MaxPeers)
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
		return invalid.Errorf("%d allowed-ips in one request: the most is %d: split the request", prefixes, MaxAllowedIPs)
	}
	return c.validateNames()
}

// validateNames finds one name given to two peers. A name that one peer loses
// in the same request, by another name or by its removal, is free for the
// next: the last word on each peer counts.
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
			return invalid.Errorf("peer %s: two peers of one request have this name: choose another", name)
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
	for _, a := range p.AllowedIPs {
		if !a.Prefix.IsValid() {
			return invalid.Errorf("%s: allowed-ips: not a prefix: write ADDRESS/LENGTH", p.label())
		}
	}
	return nil
}

// label names the peer in a sentence: by name if it has a good one.
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

// ValidName says what is wrong with the name of a peer.
func ValidName(name string) error {
	switch {
	case name == "":
		return invalid.Errorf("a peer's name is empty: give 1 to %d letters, digits and ._@-", MaxNameLen)
	case key.IsEncoded(name): // too long, or with a = in it: never a name
		return invalid.Errorf("a key stands where a peer's name belongs: give a name of 1 to %d letters, digits and ._@-", MaxNameLen)
	case len(name) > MaxNameLen:
		return invalid.Errorf("peer %s: the name has %d bytes: the most is %d", abridged(name), len(name), MaxNameLen)
	}
	for _, c := range name {
		if c > '~' || !nameByte(byte(c)) {
			return invalid.Errorf("peer %s: %q may not stand in a name: use letters, digits and ._@-", abridged(name), c)
		}
	}
	return nil
}

// abridged is a name that is refused, fit to be printed in a sentence. Of a
// long one the beginning only: it may be a key with a mistake in it.
func abridged(name string) string {
	const maxLen, shown = 32, 8
	if len(name) > maxLen {
		return printable(name[:shown]) + "…"
	}
	return printable(name)
}

// printable makes a string from outside fit to be printed in a sentence.
func printable(s string) string {
	b := []byte(s)
	for i, c := range b {
		if c < ' ' || c > '~' {
			b[i] = '?'
		}
	}
	return string(b)
}

func nameByte(c byte) bool {
	return letterOrDigit(c) || c == '.' || c == '_' || c == '@' || c == '-'
}

func letterOrDigit(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}

// MaxInterfaceName is the longest name of a network interface (IFNAMSIZ - 1).
const MaxInterfaceName = 15

// ValidInterfaceName says what is wrong with the name of an interface. What it
// accepts wg-quick accepts, too; in particular the name is safe in a path.
func ValidInterfaceName(name string) error {
	if name == "" {
		return invalid.Errorf("interface %q: a name has 1 to %d bytes", name, MaxInterfaceName)
	}
	if len(name) > MaxInterfaceName { // not repeated whole: it may be a key
		return invalid.Errorf("interface %.8q…: this name has %d bytes: the most is %d", name, len(name), MaxInterfaceName)
	}
	if name == "." || name == ".." {
		return invalid.Errorf("interface %q: this name is a directory's: choose another, wg0 for example", name)
	}
	if name == "all" || name == "default" {
		return invalid.Errorf("interface %q: the kernel and wg(8) mean all interfaces by this name: choose another, wg0 for example", name)
	}
	if name[0] == '-' {
		return invalid.Errorf("interface %q: commands take this name for an option: begin it with a letter, as in wg0", name)
	}
	for _, c := range name {
		if c > '~' || !letterOrDigit(byte(c)) && !strings.ContainsRune("_=+.-", c) {
			return invalid.Errorf("interface %q: %q may not stand in a name: use letters, digits and _=+.-", name, c)
		}
	}
	return nil
}
