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

// change does the settings of one command, or none of them.
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
		case errors.As(err, new(verdict)):
			faulty = err // the rest is done nevertheless
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

// restore undoes the settings before one that the kernel refused: without an
// interface before, there shall be none.
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
		return fmt.Errorf("what was done before that could not be undone: %w", err)
	}
	return nil
}

func restoreSettings(links *link.Links, before, now link.Info) error {
	var errs []error
	if now.MTU != before.MTU {
		errs = append(errs, setMTU(links, before.Name, before.MTU))
	}
	for _, address := range now.Addresses {
		if !slices.Contains(before.Addresses, address) {
			errs = append(errs, links.DeleteAddress(before.Name, address))
		}
	}
	for _, address := range before.Addresses {
		if err := links.AddAddress(before.Name, address); !errors.Is(err, link.ErrExists) {
			errs = append(errs, err)
		}
	}
	if now.Up != before.Up {
		errs = append(errs, setFlag(links, before.Name, before.Up))
	}
	return errors.Join(errs...)
}

// check compares the settings with the interface as it is, before anything is
// done. The zero info is that of one that does not exist.
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
			if mtu < minMTUOfIPv6 && slices.ContainsFunc(addresses, isIPv6) {
				c.Warnf("%s: it loses its IPv6 addresses: they need an mtu of %d or more", name, minMTUOfIPv6)
				addresses = slices.DeleteFunc(addresses, isIPv6)
			}
		case doAdd:
			if s.address.Is6() && mtu < minMTUOfIPv6 {
				return fmt.Errorf("%s: the address %s needs an mtu of %d or more, and it is %d: set the mtu first", name, s.text(), minMTUOfIPv6, mtu)
			}
			addresses = append(addresses, netip.PrefixFrom(s.address, s.bits))
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

func isIPv6(p netip.Prefix) bool { return p.Addr().Is6() }

// removes reports whether it is this address that the setting removes.
func (s setting) removes(address netip.Prefix) bool {
	return address.Addr() == s.address && (s.bits == anyLength || s.bits == address.Bits())
}

// text is the address as a person would write it.
func (s setting) text() string {
	if s.bits == anyLength {
		return s.address.String()
	}
	return netip.PrefixFrom(s.address, s.bits).String()
}

func apply(c *cli.Call, links *link.Links, name string, s setting) error {
	switch s.do {
	case doCreate:
		return create(c, links, name)
	case doDestroy:
		return destroy(c, links, name)
	case doAdd:
		err := links.AddAddress(name, netip.PrefixFrom(s.address, s.bits))
		if errors.Is(err, link.ErrExists) {
			return nil // as in NetBSD: it has it, and that was asked for
		}
		return err
	case doRemove:
		return remove(links, name, s)
	case doMTU:
		return setMTU(links, name, s.mtu)
	}
	return setUp(c, links, name, s.do == doUp)
}

// setMTU sets the MTU. Below IPv6's least the kernel forgets all about IPv6 on
// the interface; above it, it starts anew, with a link-local address that
// nobody asked for.
func setMTU(links *link.Links, name string, mtu int) error {
	before, err := links.Get(name)
	if err != nil {
		return err
	}
	if err := links.SetMTU(name, mtu); err != nil || before.MTU >= minMTUOfIPv6 || mtu < minMTUOfIPv6 {
		return err
	}
	if err := links.NoAutomaticAddress(name); err != nil {
		return err
	}
	after, err := links.Get(name)
	for _, address := range after.Addresses {
		if isIPv6(address) {
			err = errors.Join(err, links.DeleteAddress(name, address))
		}
	}
	return err
}

func remove(links *link.Links, name string, s setting) error {
	info, err := links.Get(name)
	if err != nil {
		return err
	}
	if i := slices.IndexFunc(info.Addresses, s.removes); i >= 0 {
		s.bits = info.Addresses[i].Bits()
	}
	return links.DeleteAddress(name, netip.PrefixFrom(s.address, s.bits))
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
	return fmt.Errorf("%s: does not exist: make it with `wg-ifconfig %s create`", name, name)
}
