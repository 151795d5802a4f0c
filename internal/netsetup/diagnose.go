package netsetup

import (
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"wgd/conf"
	"wgd/internal/sys/link"
	"wgd/internal/sys/probe"
)

// A Diagnosis is what the host knows that may explain why a tunnel does not work.
type Diagnosis struct {
	RulesGone []string // rules that wgd up added and that are not there
	RuleMark  uint32   // packets with this mark are not led into the tunnel; 0: there are no rules
	// StrictFilter is an interface whose reverse path filter is strict and ignores
	// marks, though there are rules that depend on them; "" if there is none.
	StrictFilter string

	// Unreachable are the endpoints that do not answer and about which ICMP says why:
	// the name of the error, such as ECONNREFUSED.
	Unreachable map[netip.AddrPort]string

	PathMTU  map[netip.Addr]int      // of endpoints; those without a route are missing
	RoutedTo map[netip.Prefix]string // the interface to which an allowed IP is routed; "": none
}

// maxRoutes is how many routes of allowed IPs, and of endpoints, Diagnose looks up.
const maxRoutes = 256

// Diagnose looks at what concerns an interface with this status. record is what wgd up
// did, or nil. What cannot be found out is left out.
func (k *Kernel) Diagnose(status *conf.Status, record *Record) Diagnosis {
	d := Diagnosis{Unreachable: probe.All(silent(status), status.FirewallMark, probeTime), PathMTU: map[netip.Addr]int{}, RoutedTo: map[netip.Prefix]string{}}
	for i := range status.Peers {
		p := &status.Peers[i]
		if a := p.Endpoint.Addr(); a.IsValid() && len(d.PathMTU) < maxRoutes {
			if mtu, err := k.PathMTU(a, status.FirewallMark); err == nil {
				d.PathMTU[a] = mtu
			}
		}
		for _, prefix := range p.AllowedIPs {
			if prefix.Bits() > 0 && len(d.RoutedTo) < maxRoutes {
				d.RoutedTo[prefix], _ = k.InterfaceTo(firstHost(prefix))
			}
		}
	}
	if record != nil {
		k.diagnoseRules(&d, record)
	}
	return d
}

// probeTime is how long an ICMP error about an endpoint may take.
const probeTime = time.Second

// silent are the endpoints that have left several initiations unanswered.
func silent(status *conf.Status) (list []netip.AddrPort) {
	for i := range status.Peers {
		p := &status.Peers[i]
		for _, o := range p.Observations {
			if o.Kind == conf.NoAnswer && o.Count > 1 && p.Endpoint.IsValid() && len(list) < maxRoutes {
				list = append(list, p.Endpoint)
			}
		}
	}
	return list
}

// firstHost is an address of a network that a host may have.
func firstHost(prefix netip.Prefix) netip.Addr {
	if prefix.IsSingleIP() {
		return prefix.Addr()
	}
	return prefix.Addr().Next()
}

func (k *Kernel) diagnoseRules(d *Diagnosis, record *Record) {
	for _, step := range record.Steps {
		if step.Rule == nil {
			continue
		}
		if step.Rule.NotMark != 0 {
			d.RuleMark = step.Rule.NotMark
		}
		if there, err := k.hasRule(*step.Rule); err == nil && !there {
			d.RulesGone = append(d.RulesGone, step.Rule.String())
		}
	}
	if _, needs := record.needsValidMark(); needs {
		d.StrictFilter = strictFilter(record.Interface)
	}
}

// hasRule reports whether there is such a rule, with any priority.
func (k *Kernel) hasRule(want link.Rule) (bool, error) {
	rules, err := k.Rules(want.IPv6)
	return slices.ContainsFunc(rules, func(r link.Rule) bool {
		r.Priority = want.Priority
		return r == want
	}), err
}

// sysctls is where the kernel has the settings of IPv4 of all interfaces.
const sysctls = "/proc/sys/net/ipv4/conf"

// strictFilter returns the first interface but the tunnel itself of which the reverse path
// filter is strict and ignores marks. The kernel takes the greater value of the
// interface's and that for all.
func strictFilter(tunnel string) string {
	interfaces, _ := os.ReadDir(sysctls)
	for _, entry := range interfaces {
		name := entry.Name()
		if name == "all" || name == "default" || name == "lo" || name == tunnel {
			continue
		}
		if max(sysctl("all", "rp_filter"), sysctl(name, "rp_filter")) == "1" &&
			max(sysctl("all", "src_valid_mark"), sysctl(name, "src_valid_mark")) == "0" {
			return name
		}
	}
	return ""
}

// sysctl returns a setting of one digit, "" if it cannot be read.
func sysctl(name, setting string) string {
	text, _ := os.ReadFile(filepath.Join(sysctls, name, setting))
	return strings.TrimSpace(string(text))
}
