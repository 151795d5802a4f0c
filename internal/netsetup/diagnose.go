package netsetup

import (
	"fmt"
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
	RulesGone  []string // rules that wgd up added and that are not there
	RoutesGone []string // likewise
	RuleMark   uint32   // packets with this mark are not led into the tunnel; 0: there are no rules
	// StrictFilter is an interface whose reverse path filter is strict and ignores
	// marks, though there are rules that depend on them; "" if there is none.
	StrictFilter string

	// Unreachable are the endpoints that do not answer and about which ICMP says why:
	// the name of the error, such as ECONNREFUSED.
	Unreachable map[netip.AddrPort]string

	Inside   map[netip.Addr]bool     // endpoints that are routed into the tunnel itself
	PathMTU  map[netip.Addr]int      // of the other endpoints; those without a route are missing
	RoutedTo map[netip.Prefix]string // the interface to which an allowed IP is routed; "": none
}

// maxRoutes is how many routes of allowed IPs, and of endpoints, Diagnose looks up.
const maxRoutes = 256

// Diagnose looks at what concerns an interface with this status, in the network namespace
// of the caller. What cannot be found out is left out: all of it, if the interface is in
// another namespace.
func Diagnose(status *conf.Status) (d Diagnosis) {
	if status.InProcess {
		return d // the kernel has no such interface, or another one of that name
	}
	links, err := link.Open()
	if err != nil {
		return d
	}
	defer links.Close()
	if _, err := links.Get(status.Name); err != nil {
		return d
	}
	record, _ := Store{Dir: Dir}.Load(status.Name)
	return (&Kernel{Links: links}).diagnose(status, record)
}

// AskNetwork sends an empty datagram to each endpoint that does not answer, and waits for
// reports by ICMP.
func (d *Diagnosis) AskNetwork(status *conf.Status) {
	d.Unreachable = probe.All(silent(status), status.FirewallMark, probeTime)
}

// diagnose does the work of Diagnose. record is what wgd up did, or nil.
func (k *Kernel) diagnose(status *conf.Status, record *Record) Diagnosis {
	d := Diagnosis{Inside: map[netip.Addr]bool{}, PathMTU: map[netip.Addr]int{}, RoutedTo: map[netip.Prefix]string{}}
	for i := range status.Peers {
		p := &status.Peers[i]
		if a := p.Endpoint.Addr(); a.IsValid() && i < maxRoutes {
			k.diagnoseEndpoint(&d, status, a)
		}
		for _, prefix := range p.AllowedIPs {
			if prefix.Bits() > 0 && len(d.RoutedTo) < maxRoutes {
				d.RoutedTo[prefix] = k.routedTo(prefix)
			}
		}
	}
	if record != nil {
		k.diagnoseRules(&d, record)
		if status.Up {
			k.diagnoseRoutes(&d, record)
		}
	}
	return d
}

func (k *Kernel) diagnoseEndpoint(d *Diagnosis, status *conf.Status, a netip.Addr) {
	if to, err := k.InterfaceTo(a, status.FirewallMark); err == nil && to == status.Name {
		d.Inside[a] = true
		return
	}
	if mtu, err := k.PathMTU(a, status.FirewallMark); err == nil {
		d.PathMTU[a] = mtu
	}
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

// routedTo returns the interface to which the first hosts of a network are routed; "": none.
// Packets to this host's own addresses, of which the first one is often one, stay here.
func (k *Kernel) routedTo(prefix netip.Prefix) (name string) {
	const loopback, hosts = "lo", 4
	host := firstHost(prefix)
	for range hosts {
		name, _ = k.InterfaceTo(host, 0)
		if host = host.Next(); name != loopback || !prefix.Contains(host) {
			break
		}
	}
	return name
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

// diagnoseRoutes looks for the routes that wgd up added. The kernel removes them when the
// interface goes down.
func (k *Kernel) diagnoseRoutes(d *Diagnosis, record *Record) {
	list, err := k.AllRoutesTo(record.Interface)
	if err != nil {
		return
	}
	there := make(map[link.StaticRoute]bool, len(list))
	for _, r := range list {
		there[r] = true
	}
	for _, step := range record.Steps {
		if r := step.Route; r != nil && !there[*r] {
			d.RoutesGone = append(d.RoutesGone, fmt.Sprintf("%s dev %s table %d", r.Prefix, record.Interface, r.Table))
		}
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
