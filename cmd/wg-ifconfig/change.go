package main

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"wgd/conf"
	"wgd/internal/cli"
	"wgd/internal/control"
	"wgd/internal/sys/link"
)

// change applies all settings of one command, or none.
func change(c *cli.Call, steps []*cli.Call) error {
	name := c.Arg("INTERFACE")
	settings, err := parse(steps)
	if err != nil {
		return err
	}
	if err := conf.ValidInterfaceName(name); err != nil {
		return err
	}
	links, err := link.Open()
	if err != nil {
		return err
	}
	defer links.Close()
	before, err := links.Get(name)
	if err != nil && !errors.Is(err, link.ErrNotFound) {
		return err
	}
	if err := check(c, name, before, settings); err != nil {
		return err
	}
	var faulty error
	for i, s := range settings {
		err := apply(c, links, name, s)
		switch {
		case errors.As(err, new(daemonError)):
			faulty = err // continue with the other settings
		case err != nil && i > 0:
			return errors.Join(err, restore(c, links, name, before))
		case err != nil:
			return err
		case s.do == doUp || s.do == doDown:
			faulty = nil
		}
	}
	return faulty
}

// restore undoes the settings before one that the kernel refused. If the
// interface did not exist before, it is destroyed.
func restore(c *cli.Call, links *link.Links, name string, before link.Info) error {
	now, err := links.Get(name)
	switch {
	case errors.Is(err, link.ErrNotFound):
		return nil
	case err == nil && before.Name == "":
		err = destroy(c, links, name)
	case err == nil:
		err = restoreSettings(links, before, now)
	}
	if err != nil {
		return fmt.Errorf("the earlier settings could not be undone: %w", err)
	}
	return nil
}

func restoreSettings(links *link.Links, before, now link.Info) error {
	var errs []error
	if now.MTU != before.MTU {
		errs = append(errs, links.SetMTU(before.Name, before.MTU))
	}
	if now.Up != before.Up {
		errs = append(errs, links.SetUp(before.Name, before.Up))
	}
	errs = append(errs, links.SetAddresses(before.Name, before.Addresses))
	return errors.Join(errs...)
}

// check compares the settings with the state of the interface before any is
// applied. The zero Info means that the interface does not exist.
func check(c *cli.Call, name string, info link.Info, settings []setting) error {
	exists, creates := info.Name != "", settings[0].do == doCreate
	switch {
	case exists && creates:
		return existsAlready(info)
	case exists && !isOurs(info):
		return notOurs(name)
	case !exists && !creates:
		return notThere(name)
	case creates:
		info.MTU = defaultMTU
	}
	addresses, mtu := slices.Clone(info.Addresses), info.MTU
	for _, s := range settings {
		switch s.do {
		case doMTU:
			mtu = s.mtu
			if mtu < link.MinMTUOfIPv6 && slices.ContainsFunc(addresses, isIPv6) {
				c.Warnf("%s: it loses its IPv6 addresses: they need an mtu of %d or more", name, link.MinMTUOfIPv6)
				addresses = slices.DeleteFunc(addresses, isIPv6)
			}
		case doAdd:
			if s.address.Is6() && mtu < link.MinMTUOfIPv6 {
				return fmt.Errorf("%s: the address %s needs an mtu of %d or more, and it is %d: set the mtu first",
					name, s.text(), link.MinMTUOfIPv6, mtu)
			}
			if err := s.conflict(name, addresses); err != nil {
				return err
			}
			addresses = append(addresses, link.Address{Prefix: s.prefix()})
		case doRemove:
			i := slices.IndexFunc(addresses, s.removes)
			if i < 0 {
				return fmt.Errorf("%s: it does not have the address %s: see `wg-ifconfig %s`", name, s.text(), name)
			}
			addresses = slices.Delete(addresses, i, i+1)
		}
	}
	return nil
}

func isIPv6(a link.Address) bool { return a.Prefix.Addr().Is6() }

// conflict returns an error if the interface has this address in another form and
// the kernel does not allow both: an interface has an IPv6 address once, whatever its
// prefix length, and an IPv4 address once in each network, whatever its peer.
func (s setting) conflict(name string, addresses []link.Address) error {
	for _, a := range addresses {
		p := a.Prefix
		same := p == s.prefix() && !a.Peer.IsValid()
		sameNetwork := netip.PrefixFrom(a.Peer, p.Bits()).Contains(s.address)
		switch {
		case p.Addr() != s.address || same:
		case s.address.Is6() && p.Bits() != s.bits:
			return fmt.Errorf("%s: it has the address %s with the prefix length %d: remove that first, with `wg-ifconfig %s inet6 %s -alias`",
				name, s.address, p.Bits(), name, p)
		case a.Peer.IsValid() && p.Bits() == s.bits && (s.address.Is6() || sameNetwork):
			return fmt.Errorf("%s: it has the address %s with the peer %s: remove that first, with `wg-ifconfig %s %s %s -alias`",
				name, s.address, a.Peer, name, s.family(), p)
		}
	}
	return nil
}

// removes reports whether the setting removes this address.
func (s setting) removes(a link.Address) bool {
	return a.Prefix.Addr() == s.address && (s.bits == anyLength || s.bits == a.Prefix.Bits())
}

func (s setting) prefix() netip.Prefix { return netip.PrefixFrom(s.address, s.bits) }

func (s setting) family() string {
	if s.address.Is4() {
		return "inet"
	}
	return "inet6"
}

// text returns the address as a user writes it.
func (s setting) text() string {
	if s.bits == anyLength {
		return s.address.String()
	}
	return s.prefix().String()
}

func apply(c *cli.Call, links *link.Links, name string, s setting) error {
	switch s.do {
	case doCreate:
		return create(c, links, name)
	case doDestroy:
		return destroy(c, links, name)
	case doAdd:
		return addAddress(links, name, s)
	case doRemove:
		return removeAddress(links, name, s)
	case doMTU:
		return links.SetMTU(name, s.mtu)
	}
	return setUp(c, links, name, s.do == doUp)
}

func addAddress(links *link.Links, name string, s setting) error {
	err := links.AddAddress(name, s.prefix())
	if !errors.Is(err, link.ErrExists) {
		return err
	}
	// As in NetBSD, adding an address that exists succeeds. But the kernel returns the
	// same error for a conflicting address, which may be newer than check.
	info, failed := links.Get(name)
	if failed != nil {
		return failed
	}
	if !slices.ContainsFunc(info.Addresses, link.Address{Prefix: s.prefix()}.Same) {
		return err
	}
	return nil
}

func removeAddress(links *link.Links, name string, s setting) error {
	info, err := links.Get(name)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(info.Addresses, s.removes)
	if i < 0 {
		return fmt.Errorf("%s: it does not have the address %s any more", name, s.text())
	}
	return links.DeleteAddress(name, info.Addresses[i])
}

func existsAlready(info link.Info) error {
	if isOurs(info) {
		return fmt.Errorf("%s: exists already: use it as it is, or remove it with `wg-ifconfig %s destroy`", info.Name, info.Name)
	}
	if info.Kind == link.KindTUN {
		return fmt.Errorf("%s: exists already, as a TUN interface without a wg daemon: let one take it over with `wgd %s`, or remove it with `ip link delete %s`",
			info.Name, info.Name, info.Name)
	}
	return fmt.Errorf("%s: exists already and is not a wg interface: choose another name", info.Name)
}

func notOurs(name string) error {
	return fmt.Errorf("%s: not a wg interface: use ip(8) for it", name)
}

func notThere(name string) error {
	if client, err := control.Dial(name); err == nil {
		client.Close()
		return fmt.Errorf("%s: its daemon runs, but there is no such interface here: it was renamed, or moved to another network namespace: "+
			"use ip(8) where it is, or end the daemon with kill(1)", name)
	}
	return fmt.Errorf("%s: does not exist: create it with `wg-ifconfig %s create`", name, name)
}
