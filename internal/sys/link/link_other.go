//go:build !linux

package link

import (
	"errors"
	"fmt"
	"net/netip"
)

var errLinuxOnly = fmt.Errorf("the interfaces and routes of the kernel are read and changed on Linux only; \"wgd proxy CONF --socks5 127.0.0.1:1080\" works here: %w", errors.ErrUnsupported)

// Watch returns an error: rtnetlink exists on Linux only.
func Watch(Device) (Watcher, error) { return nil, errLinuxOnly }

// WatchRoutes returns an error.
func WatchRoutes() (RouteWatcher, error) { return nil, errLinuxOnly }

// Links has no values here, because Open and OpenAt return errors.
type Links struct{}

// Open returns an error.
func Open() (*Links, error) { return nil, errLinuxOnly }

// OpenAt returns an error.
func OpenAt(Device) (*Links, error) { return nil, errLinuxOnly }

// The methods return errors.

func (*Links) Close()                                        {}
func (*Links) Get(string) (Info, error)                      { return Info{}, errLinuxOnly }
func (*Links) List() ([]Info, error)                         { return nil, errLinuxOnly }
func (*Links) Delete(string) error                           { return errLinuxOnly }
func (*Links) SetUp(string, bool) error                      { return errLinuxOnly }
func (*Links) SetMTU(string, int) error                      { return errLinuxOnly }
func (*Links) SetGSOMax(string, int, int) error              { return errLinuxOnly }
func (*Links) SetQueueLength(string, int) error              { return errLinuxOnly }
func (*Links) NoAutomaticAddress(string) error               { return errLinuxOnly }
func (*Links) AddAddress(string, netip.Prefix) error         { return errLinuxOnly }
func (*Links) AddPlainAddress(string, netip.Prefix) error    { return errLinuxOnly }
func (*Links) SetAddresses(string, []Address) error          { return errLinuxOnly }
func (*Links) DeleteAddress(string, Address) error           { return errLinuxOnly }
func (*Links) DeletePlainAddress(string, netip.Prefix) error { return errLinuxOnly }
func (*Links) AddRoute(string, StaticRoute) error            { return errLinuxOnly }
func (*Links) DeleteRoute(string, StaticRoute) error         { return errLinuxOnly }
func (*Links) RoutesTo(string) ([]netip.Prefix, error)       { return nil, errLinuxOnly }
func (*Links) AllRoutesTo(string) ([]StaticRoute, error)     { return nil, errLinuxOnly }
func (*Links) Rules(bool) ([]Rule, error)                    { return nil, errLinuxOnly }
func (*Links) AddRule(Rule) error                            { return errLinuxOnly }
func (*Links) DeleteRule(Rule) error                         { return errLinuxOnly }
func (*Links) Priorities(bool) ([]uint32, error)             { return nil, errLinuxOnly }
func (*Links) Tables() (map[uint32]bool, error)              { return nil, errLinuxOnly }
func (*Links) UsesMarks() (bool, error)                      { return false, errLinuxOnly }
func (*Links) DefaultMTU() (int, error)                      { return 0, errLinuxOnly }
func (*Links) PathMTU(netip.Addr, uint32) (int, error)       { return 0, errLinuxOnly }
func (*Links) InterfaceTo(netip.Addr, uint32) (string, error) {
	return "", errLinuxOnly
}

// An Announcer has no values here, because NewAnnouncer returns an error.
type Announcer struct{}

// NewAnnouncer returns an error.
func NewAnnouncer(uint32, uint8) (*Announcer, error) { return nil, errLinuxOnly }

// The methods return errors.

func (*Announcer) Close()                                {}
func (*Announcer) Each(string, func(netip.Prefix)) error { return errLinuxOnly }
func (*Announcer) Change(string, []netip.Prefix, []netip.Prefix) ([]netip.Prefix, error) {
	return nil, errLinuxOnly
}
