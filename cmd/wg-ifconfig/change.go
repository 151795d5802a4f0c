package main

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"wgd/conf"
	"wgd/internal/cli"
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
	if err := check(links, name, settings); err != nil {
		return err
	}
	for _, s := range settings {
		if err := apply(c, links, name, s); err != nil {
			return err
		}
	}
	return nil
}

// check compares the settings with the interface as it is, before anything is
// done.
func check(links *link.Links, name string, settings []setting) error {
	info, err := links.Get(name)
	creates := settings[0].do == doCreate
	switch {
	case err == nil && creates:
		return existsAlready(info)
	case err == nil && !isOurs(info):
		return notOurs(name)
	case errors.Is(err, link.ErrNotFound) && !creates:
		return notThere(name)
	case err != nil && !creates:
		return err
	}
	addresses := slices.Clone(info.Addresses)
	for _, s := range settings {
		switch s.do {
		case doAdd:
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
		return links.SetMTU(name, s.mtu)
	}
	return setUp(c, links, name, s.do == doUp)
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
	return fmt.Errorf("%s: exists already and is not a wg interface: choose another name", info.Name)
}

func notOurs(name string) error {
	return fmt.Errorf("%s: not a wg interface: use ip(8) for it", name)
}

func notThere(name string) error {
	return fmt.Errorf("%s: does not exist: make it with `wg-ifconfig %s create`", name, name)
}
