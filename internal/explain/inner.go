package explain

import (
	"fmt"
	"net/netip"
	"strings"
	"time"

	"wgd/conf"
)

// recentTime is for how long something counts as a reason that may be over.
const recentTime = 10 * time.Minute

func (f *Facts) recent(o *conf.Observation) bool { return f.Now.Sub(o.Last) < recentTime }

// nameUnknown explains that the name of the endpoint was not found. As long as handshakes
// with its last address complete, that does no harm.
func nameUnknown(v *view) (text, remedy string, ok bool) {
	p := v.peer
	if p.EndpointName == "" || p.EndpointFailure == "" || p.Endpoint.IsValid() && v.state() != Trying {
		return "", "", false
	}
	text = fmt.Sprintf("the name of the endpoint %s does not resolve: %s. ", p.EndpointName, p.EndpointFailure)
	if p.Endpoint.IsValid() {
		text += fmt.Sprintf("Its last address, %s, is still tried, and may be outdated", p.Endpoint.Addr())
	} else {
		text += "So there is no address to send to"
	}
	return text, "correct the name, or the name servers in /etc/resolv.conf: one that can be reached only through this tunnel cannot tell where the tunnel ends. The daemon tries again by itself", true
}

func noEndpoint(v *view) (text, remedy string, ok bool) {
	if v.peer.Endpoint.IsValid() || v.peer.EndpointFailure != "" || v.state() == Trying { // then, the peer has begun
		return "", "", false
	}
	if v.peer.EndpointName != "" {
		return fmt.Sprintf("the name of the endpoint %s is being looked up, and no name server has answered yet", v.peer.EndpointName),
			"wait for some seconds, and look again", true
	}
	return "no endpoint is known: this side cannot begin, and waits for the peer",
		fmt.Sprintf("if the peer has a fixed address: wgconfig %s set peer %s --endpoint=HOST:PORT; otherwise, run wgd explain at the peer", v.Status.Name, v.displayName()), true
}

func (v *view) displayName() string {
	name, _ := v.named(func(p *conf.PeerStatus) bool { return p == v.peer })
	return name
}

func noAllowedIPs(v *view) (text, remedy string, ok bool) {
	if len(v.peer.AllowedIPs) > 0 || v.seen(conf.AllowedIPTaken) != nil {
		return "", "", false
	}
	return "the peer has no allowed IPs: nothing can be sent to it or accepted from it",
		fmt.Sprintf("wgconfig %s set peer %s --allowed-ips=IP/CIDR", v.Status.Name, v.displayName()), true
}

// noTraffic explains that handshakes begin only when there is something to send.
func noTraffic(v *view) (text, remedy string, ok bool) {
	if v.state() != NeverUsed || !v.peer.Endpoint.IsValid() || len(v.peer.AllowedIPs) == 0 {
		return "", "", false
	}
	return "nothing has been sent to the peer: a handshake begins with the first packet to its allowed IPs, and there is no persistent keepalive",
		fmt.Sprintf("send something, ping %s for example; if nothing happens, look whether ip route get leads there through %s. Or wgconfig %s set peer %s --persistent-keepalive=25",
			v.peer.AllowedIPs[0].Addr(), v.Status.Name, v.Status.Name, v.displayName()), true
}

// sourceHolder returns the refused source, if that is recent, and its holder.
func (v *view) sourceHolder() (o *conf.Observation, holder int) {
	o = v.seen(conf.SourceRefused)
	if o == nil || !v.recent(o) {
		return nil, -1
	}
	return o, v.holder(o.Address.Addr())
}

func sourceOfAnother(v *view) (text, remedy string, ok bool) {
	o, holder := v.sourceHolder()
	if o == nil || holder < 0 || &v.Status.Peers[holder] == v.peer {
		return "", "", false
	}
	return fmt.Sprintf("the peer sends from the inner address %s, which belongs to peer %s here: its packets are dropped (%d so far, last %s)",
			o.Address.Addr(), v.Names[holder], o.Count, v.ago(o.Last)),
		"correct the addresses at the peer, or the allowed IPs here: a prefix can have one peer only", true
}

func sourceRefused(v *view) (text, remedy string, ok bool) {
	o, holder := v.sourceHolder()
	if o == nil || holder >= 0 {
		return "", "", false
	}
	return fmt.Sprintf("the peer sends from the inner address %s, which is not in its allowed IPs here: its packets are dropped (%d so far, last %s)",
			o.Address.Addr(), o.Count, v.ago(o.Last)),
		fmt.Sprintf("if it may use this address, add %s to the allowed IPs of peer %s here; otherwise set up NAT there. The peer cannot see this", single(o.Address.Addr()), v.displayName()), true
}

// single is the prefix that has only the address.
func single(a netip.Addr) netip.Prefix { return netip.PrefixFrom(a, a.BitLen()) }

func allowedIPsTaken(v *view) (text, remedy string, ok bool) {
	o := v.seen(conf.AllowedIPTaken)
	if o == nil {
		return "", "", false
	}
	prefix, err := netip.ParsePrefix(o.Detail)
	if err != nil {
		return "", "", false
	}
	other, ok := v.named(func(p *conf.PeerStatus) bool { return p != v.peer && p.PublicKey == o.Key && has(p, prefix) })
	if !ok || has(v.peer, prefix) {
		return "", "", false // it has been corrected
	}
	return fmt.Sprintf("the allowed IP %s was given to peer %s as well, %s, and so taken from this one: a prefix belongs to the last peer that got it", prefix, other, v.ago(o.Last)),
		"give each peer prefixes of its own", true
}

func has(p *conf.PeerStatus, prefix netip.Prefix) bool {
	for _, have := range p.AllowedIPs {
		if have == prefix {
			return true
		}
	}
	return false
}

// portTaken is in the fault of an interface whose port another program has.
const portTaken = "is taken by another program"

// interfaceReasons are those that concern no peer, or an unknown one.
func interfaceReasons(f *Facts) []Reason {
	list := stateReasons(f.Status)
	if !f.Status.Up {
		return list
	}
	for i := range f.Status.Observations {
		if r, ok := f.interfaceReason(&f.Status.Observations[i]); ok {
			list = append(list, r)
		}
	}
	return list
}

// stateReasons are those for which nothing works.
func stateReasons(s *conf.Status) (list []Reason) {
	switch {
	case !s.Up:
		return []Reason{{InterfaceDown, "the interface is down", fmt.Sprintf("wg-ifconfig %s up", s.Name)}}
	case s.Fault != "" && strings.Contains(s.Fault, portTaken):
		list = append(list, Reason{PortTaken, fmt.Sprintf("another program has UDP port %d", s.ListenPort),
			fmt.Sprintf("ss -lunp sport = :%d shows which; end it, or wgconfig %s set listen-port 0", s.ListenPort, s.Name)})
	case s.Fault != "":
		list = append(list, Reason{InterfaceFailure, s.Fault, "correct this, then wg-ifconfig " + s.Name + " down up"})
	}
	if s.PublicKey.IsZero() {
		list = append(list, Reason{NoPrivateKey, "the interface has no private key", fmt.Sprintf("wgconfig %s set private-key FILE", s.Name)})
	}
	return list
}

// interfaceReason explains an observation of the interface, if it is recent.
func (f *Facts) interfaceReason(o *conf.Observation) (r Reason, ok bool) {
	if !f.recent(o) {
		return r, false
	}
	s := f.Status
	from, known := f.named(func(p *conf.PeerStatus) bool { return p.Endpoint.Addr() == o.Address.Addr() })
	switch o.Kind {
	case conf.UnknownKey:
		if _, added := f.named(func(p *conf.PeerStatus) bool { return p.PublicKey == o.Key }); added {
			return r, false
		}
		text := fmt.Sprintf("%s from %s with the public key %s, which no peer here has, last %s",
			count(o.Count, "handshake arrived", "handshakes arrived"), o.Address, o.Key.Base64(), f.ago(o.Last))
		if known {
			text += fmt.Sprintf("; that is the address of peer %s, whose public key here is another one", from)
		}
		return Reason{UnknownKey, text, "if you expect it, give its peer this public key, or add a peer with it; otherwise ignore it. The sender sees only silence"}, true
	case conf.BadMAC1:
		if _, works := f.named(func(p *conf.PeerStatus) bool {
			return p.Endpoint.Addr() == o.Address.Addr() && p.LastHandshake.After(o.Last)
		}); works {
			return r, false
		}
		text := fmt.Sprintf("%s from %s that were made for another public key than that of %s, last %s: the sender has a wrong public key for this interface",
			count(o.Count, "handshake arrived", "handshakes arrived"), o.Address, s.Name, f.ago(o.Last))
		if known {
			text += "; it is the address of peer " + from
		}
		return Reason{WrongPublicKey, text, "there, set the public key of this interface: " + s.PublicKey.Base64() + ". The sender sees only silence"}, true
	case conf.NoPeer:
		a := o.Address.Addr()
		if f.holder(a) >= 0 {
			return r, false
		}
		return Reason{NoPeerFor, fmt.Sprintf("packets to %s are routed into %s, but no peer has this address among its allowed IPs (last %s)", a, s.Name, f.ago(o.Last)),
			fmt.Sprintf("add %s to the allowed IPs of the peer behind which it is, or make the route into %s narrower", single(a), s.Name)}, true
	}
	return r, false
}
