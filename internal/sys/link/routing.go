package link

import (
	"fmt"
	"net/netip"
)

// MainTable is the number of the routing table main.
const MainTable = 254

// A StaticRoute leads a prefix to an interface.
type StaticRoute struct {
	Prefix netip.Prefix `json:"prefix"`
	Table  uint32       `json:"table"`
}

// A Rule is a rule of policy routing. The rule with the lowest priority is asked first.
type Rule struct {
	IPv6     bool   `json:"ipv6"`
	Priority uint32 `json:"priority"`
	Table    uint32 `json:"table"`
	// NotMark limits the rule to packets with another firewall mark; 0 does not.
	NotMark uint32 `json:"not_mark,omitempty"`
	// NoDefault makes the rule ignore default routes.
	NoDefault bool `json:"no_default,omitempty"`
	// Goto continues packets with the mark Mark at the first rule with this priority,
	// instead of asking Table; 0 does not.
	Goto uint32 `json:"goto,omitempty"`
	Mark uint32 `json:"mark,omitempty"`
}

// String is the rule as ip(8) shows it.
func (r Rule) String() string {
	text := fmt.Sprintf("%d: ", r.Priority)
	if r.NotMark != 0 {
		text += "not "
	}
	text += "from all "
	if mark := r.NotMark | r.Mark; mark != 0 {
		text += fmt.Sprintf("fwmark %#x ", mark)
	}
	if r.Goto != 0 {
		return text + fmt.Sprintf("goto %d", r.Goto)
	}
	text += fmt.Sprintf("lookup %d", r.Table)
	if r.NoDefault {
		text += " suppress_prefixlength 0"
	}
	return text
}
