package netsetup

import (
	"net/netip"
	"slices"

	"wgd/internal/sys/link"
	"wgd/internal/wgconf"
)

// Live is what an interface that is up has.
type Live struct {
	MTU       int
	Mark      uint32
	Addresses []netip.Prefix
	Routes    []link.StaticRoute // in all tables, without those of its addresses
	Rules     []link.Rule        // of the system, both families, in their order
	Guards    map[string]bool    // the firewall tables, as nft.Guard prints them
	ValidMark bool
}

// Replan works out the steps that would have brought the interface up as the file says,
// given those that brought it up, and what it has. The facts were gathered with the
// interface up; their AllowedIPs and PathMTU are those that the tunnel will have.
// markInFile is the mark that the file had until now; 0: none.
func Replan(record *Record, file *wgconf.File, dns []Step, facts Facts, live Live, markInFile uint32) (steps []Step, mark uint32) {
	facts.KeepRoutes = map[link.StaticRoute]bool{}
	gone := map[netip.Prefix]bool{} // routes in the table main that exist because of the record
	var chosen uint32
	for _, s := range record.Steps {
		switch {
		case s.Mark != 0 && (chosen == 0 || s.Mark == live.Mark):
			chosen = s.Mark
		case s.Address.IsValid():
			gone[s.Address.Masked()] = true
		case s.Route != nil:
			facts.KeepRoutes[*s.Route] = true
			if s.Route.Table == link.MainTable {
				gone[s.Route.Prefix] = true
			}
		case s.Rule != nil && s.Rule.NotMark != 0:
			delete(facts.Tables, s.Rule.Table)
			if s.Rule.IPv6 {
				facts.Priority6 = s.Rule.Priority
			} else {
				facts.Priority4 = s.Rule.Priority
			}
		case s.ValidMark != nil:
			facts.ValidMark = s.ValidMark.Before
		}
	}
	facts.Routes = slices.DeleteFunc(slices.Clone(facts.Routes), func(r netip.Prefix) bool { return gone[r] })
	switch given := file.Interface.FwMark; {
	case given != nil:
		facts.Mark = *given
	case live.Mark == chosen, live.Mark == markInFile:
		facts.Mark, facts.KeepMark = 0, chosen
	default:
		facts.Mark = live.Mark // a hook has set it
	}
	for _, s := range record.Steps[:min(1, len(record.Steps))] {
		if s.Create != nil {
			steps = append(steps, s)
		}
	}
	mark = facts.Mark
	planned := Plan(record.Interface, file, dns, facts)
	for _, s := range planned {
		if s.Mark != 0 {
			mark = s.Mark
		}
	}
	return append(steps, planned...), mark
}
