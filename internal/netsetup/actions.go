package netsetup

import (
	"encoding/json"
	"net/netip"
	"slices"

	"wgd/internal/sys/link"
)

// Actions works out what leads from the steps of a record to the steps next, given what
// the interface has, and the mark that it must have. What is new comes before what goes, so
// that no packet is lost in between. An MTU that is not the file's is set only if it is
// another one than before.
func Actions(record *Record, next []Step, mark uint32, mtuInFile bool, live Live) []Action {
	d := newDiffer(record.Steps, next, mark, live)
	d.doubt = record.Changing
	mtu := d.mtu(mtuInFile)
	bridges := d.bridges()
	var list []Action
	if mtu.Add.MTU > live.MTU {
		list = append(list, mtu)
	}
	list = append(list, d.addresses()...)
	for _, b := range bridges {
		if !d.rules[*b.Rule] {
			list = append(list, Action{Add: b})
		}
	}
	list = append(list, d.added(func(s Step) bool { return s.ValidMark != nil && !live.ValidMark })...)
	list = append(list, d.guards()...)
	if mark != 0 && mark != live.Mark {
		list = append(list, Action{Remove: Step{Mark: live.Mark}, Add: Step{Mark: mark}})
	}
	list = append(list, d.added(func(s Step) bool { return s.Rule != nil && !d.rules[*s.Rule] })...)
	list = append(list, d.added(func(s Step) bool { return d.newRoute(s) && !d.hidden[s.Route.Prefix] })...)
	list = append(list, d.removed(func(s Step) bool { return s.Rule != nil && !s.bridge() && d.rules[*s.Rule] })...)
	list = append(list, d.removed(func(s Step) bool { return s.Route != nil && d.routes[*s.Route] })...)
	list = append(list, d.removed(func(s Step) bool { return s.Guard != nil && !d.guarded[s.Guard.String()] })...)
	for _, b := range slices.Backward(bridges) {
		list = append(list, Action{Remove: b})
	}
	there := setOf(bridges)
	list = append(list, d.removed(func(s Step) bool { return s.bridge() && d.rules[*s.Rule] && !there[s.id()] })...) // of a change that was interrupted
	if mark == 0 && live.Mark != 0 {
		list = append(list, Action{Remove: Step{Mark: live.Mark}})
	}
	if !slices.ContainsFunc(next, func(s Step) bool { return s.ValidMark != nil }) {
		list = append(list, d.removed(func(s Step) bool { return s.ValidMark != nil })...)
	}
	list = append(list, d.removed(func(s Step) bool { return d.there[s.Address] && !d.moved[s.Address] })...)
	list = append(list, d.added(func(s Step) bool { return d.newRoute(s) && d.hidden[s.Route.Prefix] })...)
	if n := mtu.Add.MTU; n != 0 && n <= live.MTU {
		list = append(list, mtu)
	}
	return append(list, d.dns()...)
}

// id tells steps apart.
func (s Step) id() string {
	text, err := json.Marshal(s)
	if err != nil {
		panic(err) // a Step is recorded as JSON
	}
	return string(text)
}

func setOf(steps []Step) map[string]bool {
	set := make(map[string]bool, len(steps))
	for _, s := range steps {
		set[s.id()] = true
	}
	return set
}

// differ holds the arguments of Actions, and sets of what is in them.
type differ struct {
	old, next []Step
	mark      uint32
	live      Live
	doubt     bool // an earlier change was interrupted: which steps were done is not known

	wanted  map[string]bool // the steps of next
	there   map[netip.Prefix]bool
	routes  map[link.StaticRoute]bool
	rules   map[link.Rule]bool
	guarded map[string]bool // the firewall tables of next

	moved  map[netip.Prefix]bool // addresses that are removed when others are added
	hidden map[netip.Prefix]bool // routes of addresses that go: until then, there can be no other one
}

func newDiffer(old, next []Step, mark uint32, live Live) *differ {
	d := &differ{old: old, next: next, mark: mark, live: live, wanted: setOf(next), there: map[netip.Prefix]bool{},
		routes: map[link.StaticRoute]bool{}, rules: map[link.Rule]bool{}, guarded: map[string]bool{},
		moved: map[netip.Prefix]bool{}, hidden: map[netip.Prefix]bool{}}
	for _, a := range live.Addresses {
		d.there[a] = true
	}
	for _, r := range live.Routes {
		d.routes[r] = true
	}
	for _, r := range live.Rules {
		d.rules[r] = true
	}
	for _, s := range next {
		if s.Guard != nil {
			d.guarded[s.Guard.String()] = true
		}
	}
	for _, s := range old {
		if s.Address.IsValid() && !d.wanted[s.id()] && connects(s.Address) {
			d.hidden[s.Address.Masked()] = true
		}
	}
	return d
}

func (d *differ) added(which func(Step) bool) (list []Action) {
	for _, s := range d.next {
		if which(s) {
			list = append(list, Action{Add: s})
		}
	}
	return list
}

// removed removes what next does not have, the last one first.
func (d *differ) removed(which func(Step) bool) (list []Action) {
	for _, s := range slices.Backward(d.old) {
		if which(s) && !d.wanted[s.id()] {
			list = append(list, Action{Remove: s})
		}
	}
	return list
}

func (d *differ) newRoute(s Step) bool { return s.Route != nil && !d.routes[*s.Route] }

// find returns the last step of a kind.
func find(steps []Step, kind func(Step) bool) (step Step) {
	for _, s := range steps {
		if kind(s) {
			step = s
		}
	}
	return step
}

func (d *differ) mtu(inFile bool) Action {
	kind := func(s Step) bool { return s.MTU != 0 }
	before, want := find(d.old, kind), find(d.next, kind)
	if want.MTU == 0 || want.MTU == d.live.MTU || !inFile && !d.doubt && want.MTU == before.MTU {
		return Action{}
	}
	return Action{Remove: Step{MTU: d.live.MTU}, Add: want}
}

func (d *differ) dns() []Action {
	kind := func(s Step) bool { return s.DNS != nil }
	before, want := find(d.old, kind), find(d.next, kind)
	if before.id() == want.id() && (!d.doubt || want.empty()) {
		return nil
	}
	return []Action{{Remove: before, Add: want}}
}

// guards adds the firewall tables, or replaces them, each in one transaction.
func (d *differ) guards() (list []Action) {
	for _, s := range d.next {
		if s.Guard == nil {
			continue
		}
		name := s.Guard.String()
		before := find(d.old, func(o Step) bool { return o.Guard != nil && o.Guard.String() == name })
		if d.doubt || before.id() != s.id() || !d.live.Guards[name] {
			list = append(list, Action{Remove: before, Add: s})
		}
	}
	return list
}

// addresses adds the addresses that are missing. The kernel lists addresses in the order
// in which they were added, and prefers the first ones as sources. So those that follow a
// new one in the file are removed and added again after it.
func (d *differ) addresses() (list []Action) {
	for _, ipv6 := range []bool{false, true} {
		family := func(steps []Step) (addresses []netip.Prefix) {
			for _, s := range steps {
				if s.Address.IsValid() && isIPv6(s.Address) == ipv6 {
					addresses = append(addresses, s.Address)
				}
			}
			return addresses
		}
		old, next := family(d.old), family(d.next)
		after := slices.DeleteFunc(slices.Clone(old), func(a netip.Prefix) bool { return !d.there[a] || !slices.Contains(next, a) })
		for _, a := range next {
			if !slices.Contains(after, a) {
				after = append(after, a)
			}
		}
		same := 0
		for same < len(next) && after[same] == next[same] {
			same++
		}
		for i, a := range next {
			switch {
			case !d.there[a]:
				// The kernel has an address of IPv6 once, whatever its prefix.
				for _, o := range old {
					if ipv6 && o.Addr() == a.Addr() && d.there[o] {
						d.moved[o] = true
						list = append(list, Action{Remove: Step{Address: o}})
					}
				}
				list = append(list, Action{Add: Step{Address: a}})
			case i >= same:
				list = append(list, Action{Remove: Step{Address: a}}, Action{Add: Step{Address: a}})
			}
		}
	}
	return list
}

// bridge reports whether the step is a rule for the time of a change.
func (s Step) bridge() bool { return s.Rule != nil && s.Rule.Goto != 0 }

// bridges are rules for the time while the mark changes. The old rules and the new ones
// cannot be exchanged in the same moment as the mark: each lets only one mark pass beside
// the tunnel, and lead the tunnel's own datagrams with another one back into it. The
// bridges take both marks past all of them.
func (d *differ) bridges() (list []Step) {
	if d.mark == 0 || d.live.Mark == 0 || d.mark == d.live.Mark {
		return nil
	}
	for _, ipv6 := range []bool{false, true} {
		kind := func(s Step) bool { return s.Rule != nil && s.Rule.IPv6 == ipv6 && s.Rule.NotMark != 0 }
		old, next := find(d.old, kind).Rule, find(d.next, kind).Rule
		if old == nil || next == nil {
			continue
		}
		var first, after uint32
		for i, r := range d.live.Rules {
			switch {
			case r.IPv6 != ipv6:
			case after == 0 && r.Priority > next.Priority:
				after = r.Priority
			case i == 0 || d.live.Rules[i-1].IPv6 != ipv6:
				first = r.Priority
			}
		}
		if after == 0 {
			continue // no rule follows that the tunnel's datagrams could need
		}
		// Before both rules of the tunnel, of which one asks the table main.
		priority := max(first, next.Priority-2)
		for _, mark := range []uint32{d.live.Mark, d.mark} {
			list = append(list, Step{Rule: &link.Rule{IPv6: ipv6, Priority: priority, Mark: mark, Goto: after}})
		}
	}
	return list
}
