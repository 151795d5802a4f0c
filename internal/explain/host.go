package explain

import (
	"fmt"
	"net/netip"

	"wgd/conf"
)

// Host is what the host knows. The zero Host means that nothing is known of it.
type Host struct {
	RulesGone    []string // rules that wgd up added, as ip(8) prints them, and that are not there
	RoutesGone   []string // likewise
	RuleMark     uint32   // the mark that the rules of wgd up exempt; 0: there are none
	StrictFilter string   // an interface with strict reverse path filtering that ignores marks; "": none matters

	// Unreachable are the endpoints about which ICMP says that they cannot be reached:
	// the name of the error, such as ECONNREFUSED.
	Unreachable map[netip.AddrPort]string

	Inside   map[netip.Addr]bool     // endpoints that are routed into the tunnel itself
	PathMTU  map[netip.Addr]int      // of the paths to endpoints, as far as the host knows
	RoutedTo map[netip.Prefix]string // the interface to which an allowed IP is routed; "": none
}

func hostReasons(f *Facts) (list []Reason) {
	h, s := &f.Host, f.Status
	for _, rule := range h.RulesGone {
		list = append(list, Reason{RulesGone, fmt.Sprintf("the policy rule %q, which wgd up added, is gone: packets are not led into %s, and may leave this host outside of the tunnel", rule, s.Name),
			fmt.Sprintf("wgd reload %s adds it again. systemd-networkd removes rules of others when it configures a link: set ManageForeignRoutingPolicyRules=no in /etc/systemd/networkd.conf, and restart it", s.Name)})
	}
	if n := len(h.RoutesGone); n > 0 {
		text := fmt.Sprintf("the route %q, which wgd up added, is gone", h.RoutesGone[0])
		if n > 1 {
			text = fmt.Sprintf("%d routes that wgd up added are gone, such as %q", n, h.RoutesGone[0])
		}
		list = append(list, Reason{RoutesGone, text + fmt.Sprintf(": packets are not led into %s, and may leave this host outside of the tunnel", s.Name),
			fmt.Sprintf("wgd reload %s adds them again. The kernel removes them when an interface goes down: to pause the tunnel, run wgd down %s and wgd up %s instead", s.Name, s.Name, s.Name)})
	}
	if h.RuleMark != 0 && h.RuleMark != s.FirewallMark {
		list = append(list, Reason{MarkOff, fmt.Sprintf("the policy rules let packets with the mark %#x pass by the tunnel, but %s marks its own with %#x: they are led into the tunnel itself", h.RuleMark, s.Name, s.FirewallMark),
			fmt.Sprintf("wgconfig %s set fwmark %#x", s.Name, h.RuleMark)})
	}
	if h.StrictFilter != "" {
		list = append(list, Reason{ReverseFilter, fmt.Sprintf("strict reverse path filtering on %s (rp_filter=1) drops the answers of peers, because it does not look at marks", h.StrictFilter),
			fmt.Sprintf("sysctl -w net.ipv4.conf.all.src_valid_mark=1, or net.ipv4.conf.%s.rp_filter=2", h.StrictFilter)})
	}
	return list
}

// unreachable explains what ICMP says about an endpoint that does not answer.
func unreachable(v *view) (text, remedy string, ok bool) {
	name := v.Host.Unreachable[v.peer.Endpoint]
	o := v.seen(conf.NoAnswer)
	if name == "" || o == nil || v.sendFailure(noWay...) != nil { // the latter is not about the network
		return "", "", false
	}
	since := fmt.Sprintf("%s since %s", count(o.Count, "initiation", "initiations"), v.clock(o.First))
	if name == "ECONNREFUSED" {
		return fmt.Sprintf("nobody listens at %s (ICMP port unreachable; %s): the interface of the peer is down, or it has another port", v.peer.Endpoint, since),
			"bring the interface up there, or correct the endpoint here", true
	}
	return fmt.Sprintf("%s cannot be reached, as the network reports (%s; %s): the host is off, its address is another one, or a firewall rejects the datagrams", v.peer.Endpoint, name, since),
		"check the address, whether the host is up, and the firewalls on the path", true
}

// inside explains that the tunnel's own datagrams would be led into the tunnel.
func inside(v *view) (text, remedy string, ok bool) {
	a := v.peer.Endpoint.Addr()
	if !v.Host.Inside[a] {
		return "", "", false
	}
	text = fmt.Sprintf("the endpoint %s is itself routed into %s, so the datagrams to it cannot leave this host", a, v.Status.Name)
	return text, fmt.Sprintf("give it a route of its own: ip route add %s via GATEWAY. Or let wgd up set the routes: for a default route, it adds rules that lead datagrams with the firewall mark past the tunnel", single(a)), true
}

// The outer headers of a datagram, and what the protocol adds.
const (
	outer4 = 60
	outer6 = 80
)

// insideInUse is for a tunnel in use: its session may end without another one.
func insideInUse(v *view) (text, remedy string, ok bool) {
	if v.state() == Trying {
		return "", "", false // handshakeRules have it
	}
	return inside(v)
}

// mtuTooLarge compares the MTU with what the path to the endpoint is known to carry. It
// matters only if small packets pass.
func mtuTooLarge(v *view) (text, remedy string, ok bool) {
	if state := v.state(); state != Works && state != Idle {
		return "", "", false
	}
	path := v.peer.PathMTU
	if path == 0 {
		path = v.Host.PathMTU[v.peer.Endpoint.Addr()]
	}
	outer := outer4
	if v.peer.Endpoint.Addr().Is6() {
		outer = outer6
	}
	fits := path - outer
	if path == 0 || v.Status.MTU <= fits {
		return "", "", false
	}
	return fmt.Sprintf("if large packets are lost while small ones pass: the MTU of %s, %d, is too large for the path to %s, which carries packets of %d bytes, so those of senders that do not adapt are sent in fragments, which some networks drop",
			v.Status.Name, v.Status.MTU, v.peer.Endpoint.Addr(), path),
		setMTU(v, fits), true
}

// setMTU says how to set the MTU.
func setMTU(v *view, mtu int) string {
	if v.Status.InProcess {
		return fmt.Sprintf("write MTU = %d in [Interface] of the file, and start wgd proxy again", mtu)
	}
	return fmt.Sprintf("wg-ifconfig %s mtu %d", v.Status.Name, mtu)
}

// notRouted says that the kernel does not lead packets for the peer into the interface.
func notRouted(v *view) (text, remedy string, ok bool) {
	if v.state() != NeverUsed {
		return "", "", false
	}
	for _, prefix := range v.peer.AllowedIPs {
		to, known := v.Host.RoutedTo[prefix]
		if !known || to == v.Status.Name {
			continue
		}
		if to == "" {
			to = "nowhere"
		}
		return fmt.Sprintf("packets to the allowed IPs %s are routed to %s, not to %s, so nothing has been sent to the peer", prefix, to, v.Status.Name),
			fmt.Sprintf("ip route replace %s dev %s; if %s has no address, it needs one as well", prefix, v.Status.Name, v.Status.Name), true
	}
	return "", "", false
}
