package resolved

import (
	"errors"
	"net/netip"
)

var (
	// ErrNoBus says that no system bus belongs to this network namespace.
	ErrNoBus = errors.New("no D-Bus system bus belongs to this network namespace")

	// ErrNotRunning says that there is a bus, but no systemd-resolved on it.
	ErrNotRunning = errors.New("systemd-resolved is not running")

	// ErrNoLink says that systemd-resolved knows no link with this index.
	ErrNoLink = errors.New("systemd-resolved knows no such link")
)

// A Link is what is set for one link.
type Link struct {
	Index   int
	Servers []netip.Addr // a zone is ignored: the link is the zone
	Domains []Domain

	// DefaultRoute says that its servers are also asked for names that no domain of any
	// link matches.
	DefaultRoute bool
}

// A Domain sends names below it to the servers of its link. Unless it is RouteOnly, it is
// also appended to names of one label. The name "." with RouteOnly matches every name.
type Domain struct {
	Name      string
	RouteOnly bool
}
