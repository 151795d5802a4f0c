package netsetup

import (
	"errors"
	"fmt"
	"net/netip"

	"wgd/conf"
	"wgd/internal/nameserver"
	"wgd/internal/sys/link"
	"wgd/internal/sys/nft"
)

// A Step is one change of the system. Exactly one of its fields is set.
type Step struct {
	Create    *Created          `json:"create,omitempty"`
	Mark      uint32            `json:"mark,omitempty"` // the firewall mark of the tunnel's own datagrams
	Address   netip.Prefix      `json:"address,omitzero"`
	MTU       int               `json:"mtu,omitempty"`
	Up        bool              `json:"up,omitempty"`
	DNS       *nameserver.DNS   `json:"dns,omitempty"`
	ValidMark *ValidMark        `json:"src_valid_mark,omitempty"`
	Guard     *nft.Guard        `json:"firewall,omitempty"`
	Rule      *link.Rule        `json:"rule,omitempty"`
	Route     *link.StaticRoute `json:"route,omitempty"`
}

// Created is the interface that was created.
type Created struct {
	Index int `json:"index"` // 0: not known, because the step was begun and did not end
}

// ValidMark is the setting src_valid_mark, with which the kernel takes a packet's mark
// into account where it checks that the way back to its source is the way it came.
type ValidMark struct {
	Before bool `json:"before"` // whether it was set before the first tunnel that needs it
}

// String says in a few words what the step does.
func (s Step) String() string {
	switch {
	case s.Create != nil:
		return "start the daemon, which creates the interface"
	case s.Mark != 0:
		return fmt.Sprintf("set the firewall mark %#x", s.Mark)
	case s.Address.IsValid():
		return fmt.Sprintf("add the address %s", s.Address)
	case s.MTU != 0:
		return fmt.Sprintf("set the MTU %d", s.MTU)
	case s.Up:
		return "bring the interface up"
	case s.DNS != nil:
		return fmt.Sprintf("set the name servers %v", s.DNS.Servers)
	case s.ValidMark != nil:
		return "set net.ipv4.conf.all.src_valid_mark to 1"
	case s.Guard != nil:
		return fmt.Sprintf("add the firewall table %s", s.Guard)
	case s.Rule != nil:
		return fmt.Sprintf("add the %s", ruleText(s.Rule))
	case s.Route != nil:
		return fmt.Sprintf("add the route %s to table %d", s.Route.Prefix, s.Route.Table)
	}
	return "do nothing"
}

// ruleText names the family, because a rule of IPv4 and one of IPv6 look the same.
func ruleText(r *link.Rule) string {
	if r.IPv6 {
		return "IPv6 rule " + r.String()
	}
	return "rule " + r.String()
}

// A System is what steps change.
type System interface {
	Network
	Create(name string) (index int, err error)
	// Delete deletes the interface, if it is the one with that index, and waits for
	// the end of its daemon. It is no error if the interface is gone.
	Delete(name string, index int) error
	SetMark(name string, mark uint32) error
	// Configure changes the tunnel, but for its mark.
	Configure(name string, change conf.Change) error
	// BringUp waits until the tunnel works and the addresses can be used, or the
	// daemon says why it does not.
	BringUp(name string) error
	// SetDNS sets the name servers, in place of those that the tunnel had.
	SetDNS(name string, dns *nameserver.DNS) (warning, err error)
	// UnsetDNS restores what was before. It is no error if there is nothing to restore.
	UnsetDNS(name string) error
	AddGuard(guard nft.Guard) error
	DeleteGuard(guard nft.Guard) error
	SetValidMark(on bool) error
	// MarksInUse reports whether anything that is left depends on firewall marks.
	MarksInUse() (bool, error)
}

// A Network is the part of a System that sys/link changes.
type Network interface {
	AddPlainAddress(name string, address netip.Prefix) error
	DeletePlainAddress(name string, address netip.Prefix) error // link.ErrNoAddress if it is not there
	SetMTU(name string, mtu int) error
	AddRoute(name string, route link.StaticRoute) error
	DeleteRoute(name string, route link.StaticRoute) error // link.ErrNoRoute if it is not there
	AddRule(rule link.Rule) error
	DeleteRule(rule link.Rule) error // link.ErrNoRule if it is not there
}

// notDone is the warning of a step that could not be done at all.
type notDone struct{ error }

func (e notDone) Unwrap() error { return e.error }

// do does the step for the interface. If it is possible without, and what it lacks is
// worth a warning only, do returns the warning.
func (s Step) do(system System, name string) (warning, err error) {
	switch {
	case s.Create != nil:
		s.Create.Index, err = system.Create(name)
	case s.Mark != 0:
		err = system.SetMark(name, s.Mark)
	case s.Address.IsValid():
		err = system.AddPlainAddress(name, s.Address)
	case s.MTU != 0:
		err = system.SetMTU(name, s.MTU)
	case s.Up:
		err = system.BringUp(name)
	case s.DNS != nil:
		warning, err = system.SetDNS(name, s.DNS)
		if err != nil {
			return notDone{fmt.Errorf("DNS is not set, and the system continues to ask its own name servers: %w", err)}, nil
		}
		return warning, nil
	case s.ValidMark != nil:
		if err := system.SetValidMark(true); err != nil {
			return notDone{fmt.Errorf("%w: with strict reverse path filtering (rp_filter=1) the answers of peers are dropped: "+
				"set it to 1 from outside of the container, or rp_filter to 2", err)}, nil
		}
	case s.Guard != nil:
		err = system.AddGuard(*s.Guard)
		if errors.Is(err, nft.ErrUnsupported) {
			return notDone{fmt.Errorf("%w: packets from other networks to the tunnel's addresses are not dropped, "+
				"and with strict reverse path filtering (rp_filter=1) the answers of peers are: load the modules nf_tables, nft_fib_ipv4, nft_fib_ipv6 and nft_ct", err)}, nil
		}
	case s.Rule != nil:
		err = system.AddRule(*s.Rule)
	case s.Route != nil:
		err = system.AddRoute(name, *s.Route)
	}
	return nil, err
}

// undo undoes a step that was begun. What belongs to the interface goes with it, and
// need not be undone. It is no error if there is nothing to be undone. elsewhere
// reports whether other interfaces need src_valid_mark.
func (s Step) undo(system System, name string, elsewhere func() (bool, error)) error {
	switch {
	case s.Create != nil:
		return system.Delete(name, s.Create.Index)
	case s.DNS != nil:
		return system.UnsetDNS(name)
	case s.Guard != nil:
		return system.DeleteGuard(*s.Guard)
	case s.Rule != nil:
		if err := system.DeleteRule(*s.Rule); !errors.Is(err, link.ErrNoRule) {
			return err
		}
	case s.ValidMark != nil && !s.ValidMark.Before:
		needed, err := elsewhere()
		if err == nil && !needed {
			needed, err = system.MarksInUse()
		}
		if err != nil || needed {
			return err
		}
		return system.SetValidMark(false)
	}
	return nil
}
