package tunnelfile

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"wgd/conf"
	"wgd/internal/resolve"
	"wgd/internal/wgconf"
	"wgd/key"
)

// A Difference is what a tunnel lacks to be what a file says. It shares the keys of the
// file.
type Difference struct {
	// Change is the change that makes it so, without the firewall mark, on which the
	// routing depends, and without the endpoints in Names.
	Change conf.Change
	Names  []Name
	Lines  []string // a line for each difference
}

// A Name is an endpoint by name: that of Change.Peers[Peer].
type Name struct {
	Peer     int
	Endpoint resolve.Endpoint
}

// Empty reports whether the tunnel is what the file says.
func (d *Difference) Empty() bool { return len(d.Lines) == 0 }

// Compare compares a file with the tunnel. If nothing is known, everything that the file
// does not have counts as something that has left it.
//
// What the file says counts. Where it says nothing, what a hook or another command has
// set stays, and what an earlier version of the file had goes. An endpoint is compared
// with that of the earlier version, because a peer may have moved since then; and a peer
// that the file does not have goes, unless a hook of wgd up has added it, or it was lent.
func Compare(file *wgconf.File, known *Known, live *conf.Status) *Difference {
	d := &Difference{}
	full := file.Change()
	own := live.PublicKey
	if k := file.Interface.PrivateKey; k != nil {
		if own = k.Public(); own != live.PublicKey {
			d.Change.PrivateKey = k
			d.line("set the private key")
		}
	}
	if p := file.Interface.ListenPort; p != nil && *p != 0 && *p != live.ListenPort {
		d.Change.ListenPort = p
		d.line("set the listen port %d", *p)
	}
	if clamp := !file.Interface.Network.NoMSSClamp; clamp == live.NoMSSClamp {
		d.Change.MSSClamp = &clamp
		d.line("turn MSS clamping %s", map[bool]string{true: "on", false: "off"}[clamp])
	}
	before, now, wanted := known.peers(), livePeers(live), filePeers(file)
	for i := range live.Peers {
		p := &live.Peers[i]
		if p.Lent != 0 {
			continue // it comes and goes by itself
		}
		if old := before[p.PublicKey]; wanted[p.PublicKey] == nil && (old == nil || old.InFile) {
			d.Change.Peers = append(d.Change.Peers, conf.PeerChange{PublicKey: p.PublicKey, Remove: true})
			d.line("remove the peer %s", called(p.Name, p.PublicKey))
		}
	}
	for i := range file.Peers {
		p := &file.Peers[i]
		switch at := now[p.PublicKey]; {
		case p.PublicKey == own: // the tunnel ignores it
		case at == nil:
			d.add(p, full.Peers[i])
		default:
			d.peer(p, before[p.PublicKey], at)
		}
	}
	return d
}

func (d *Difference) line(format string, args ...any) {
	d.Lines = append(d.Lines, fmt.Sprintf(format, args...))
}

// called is what a peer is called: by its name, or else by the first digits of its key.
func called(name string, public key.Public) string {
	if name != "" {
		return name
	}
	return public.Hex()[:8]
}

func (d *Difference) add(p *wgconf.Peer, change conf.PeerChange) {
	d.resolve(p.Endpoint, len(d.Change.Peers))
	d.Change.Peers = append(d.Change.Peers, change)
	d.line("add the peer %s", called(p.Name, p.PublicKey))
}

// resolve notes an endpoint if it is a name.
func (d *Difference) resolve(e resolve.Endpoint, peer int) {
	if _, literal := e.Literal(); !literal && e != (resolve.Endpoint{}) {
		d.Names = append(d.Names, Name{peer, e})
	}
}

// peer compares one peer. Without old, nothing is known about it.
func (d *Difference) peer(p *wgconf.Peer, old *KnownPeer, live *conf.PeerStatus) {
	c := conf.PeerChange{PublicKey: p.PublicKey, UpdateOnly: true}
	name := called(live.Name, p.PublicKey)
	lines := len(d.Lines)
	line := func(format string, args ...any) { d.line("peer "+name+": "+format, args...) }

	switch had := old == nil || old.NameInFile; {
	case p.Name == live.Name, p.Name == "" && !had:
	case p.Name == "":
		c.Name = &p.Name
		line("remove the name")
	default:
		c.Name = &p.Name
		line("set the name %s", p.Name)
	}
	switch had := old == nil || old.PresharedInFile; {
	case p.PresharedKey.Equal(live.PresharedKey), p.PresharedKey.IsZero() && !had:
	case p.PresharedKey.IsZero():
		c.PresharedKey = &p.PresharedKey
		line("remove the preshared key")
	default:
		c.PresharedKey = &p.PresharedKey
		line("set the preshared key")
	}
	switch had := old == nil || old.KeepaliveInFile; {
	case p.PersistentKeepalive == live.PersistentKeepalive, p.PersistentKeepalive == 0 && !had:
	case p.PersistentKeepalive == 0:
		c.PersistentKeepalive = &p.PersistentKeepalive
		line("remove the persistent keepalive")
	default:
		c.PersistentKeepalive = &p.PersistentKeepalive
		line("set the persistent keepalive %d", p.PersistentKeepalive)
	}
	literal, ok := p.Endpoint.Literal()
	switch none := p.Endpoint == (resolve.Endpoint{}); {
	case none && live.EndpointName != "" && old.gaveName(live.EndpointName):
		c.EndpointName = new(string)
		line("no longer look up the endpoint %s", live.EndpointName)
	case none, old != nil && p.Endpoint.String() == old.EndpointInFile, ok && literal == live.Endpoint && live.EndpointName == "":
	default:
		if ok {
			c.Endpoint = &literal
		}
		d.resolve(p.Endpoint, len(d.Change.Peers))
		line("set the endpoint %s", p.Endpoint)
	}
	if allowed := p.Allowed(); !samePrefixes(allowed, live.AllowedIPs) {
		c.ReplaceAllowedIPs = true
		for _, prefix := range allowed {
			c.AllowedIPs = append(c.AllowedIPs, conf.AllowedIPChange{Prefix: prefix})
		}
		line("set the allowed IPs %s", list(allowed))
	}
	if len(d.Lines) > lines {
		d.Change.Peers = append(d.Change.Peers, c)
	}
}

// gaveName reports whether the peer follows a name because the file had it.
func (k *KnownPeer) gaveName(name string) bool {
	return k == nil || k.EndpointInFile == doubtful || k.EndpointInFile != "" && k.EndpointName == name
}

func list(prefixes []netip.Prefix) string {
	if len(prefixes) == 0 {
		return "(none)"
	}
	const maxShown = 8
	var words []string
	for _, p := range prefixes[:min(len(prefixes), maxShown)] {
		words = append(words, p.String())
	}
	text := strings.Join(words, ", ")
	if more := len(prefixes) - maxShown; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

// samePrefixes compares two lists that have no prefix twice. Their order means nothing.
func samePrefixes(a, b []netip.Prefix) bool {
	if len(a) != len(b) {
		return false
	}
	there := make(map[netip.Prefix]bool, len(a))
	for _, p := range a {
		there[p] = true
	}
	return !slices.ContainsFunc(b, func(p netip.Prefix) bool { return !there[p] })
}

// After is what the tunnel will be after the change: its endpoints and allowed IPs.
func After(live *conf.Status, change *conf.Change) *conf.Status {
	after := *live
	after.Peers = nil
	changes := map[key.Public]*conf.PeerChange{}
	taken := map[netip.Prefix]key.Public{} // by a change
	for i := range change.Peers {
		c := &change.Peers[i]
		changes[c.PublicKey] = c
		for _, a := range c.AllowedIPs {
			taken[a.Prefix] = c.PublicKey
		}
	}
	known := livePeers(live)
	apply := func(p conf.PeerStatus) {
		c := changes[p.PublicKey]
		if c != nil && c.Remove {
			return
		}
		kept := slices.DeleteFunc(slices.Clone(p.AllowedIPs), func(a netip.Prefix) bool {
			owner, moved := taken[a]
			return c != nil && c.ReplaceAllowedIPs || moved && owner != p.PublicKey
		})
		if c != nil {
			for _, a := range c.AllowedIPs {
				kept = append(kept, a.Prefix)
			}
			if c.Endpoint != nil {
				p.Endpoint = *c.Endpoint
			}
		}
		p.AllowedIPs = kept
		after.Peers = append(after.Peers, p)
	}
	for _, p := range live.Peers {
		apply(p)
	}
	for i := range change.Peers {
		if c := &change.Peers[i]; known[c.PublicKey] == nil {
			apply(conf.PeerStatus{PublicKey: c.PublicKey})
		}
	}
	return &after
}

// Back is the change that undoes another one: it makes the tunnel what live says. A peer
// that the other one removes gets no session back. It shares the keys of live.
func Back(live *conf.Status, change *conf.Change) conf.Change {
	var back conf.Change
	if change.PrivateKey != nil {
		back.PrivateKey = &live.PrivateKey
	}
	if change.ListenPort != nil {
		back.ListenPort = &live.ListenPort
	}
	if change.MSSClamp != nil {
		clamp := !live.NoMSSClamp
		back.MSSClamp = &clamp
	}
	now, changes := livePeers(live), map[key.Public]*conf.PeerChange{}
	for i := range change.Peers {
		c := &change.Peers[i]
		changes[c.PublicKey] = c
		if now[c.PublicKey] == nil {
			back.Peers = append(back.Peers, conf.PeerChange{PublicKey: c.PublicKey, Remove: true})
		}
	}
	for i := range live.Peers {
		p := &live.Peers[i]
		c := conf.PeerChange{PublicKey: p.PublicKey, ReplaceAllowedIPs: true}
		for _, a := range p.AllowedIPs {
			c.AllowedIPs = append(c.AllowedIPs, conf.AllowedIPChange{Prefix: a})
		}
		if made := changes[p.PublicKey]; made != nil {
			c.Name, c.PresharedKey, c.PersistentKeepalive = &p.Name, &p.PresharedKey, &p.PersistentKeepalive
			if made.Endpoint != nil || made.EndpointName != nil || made.Remove {
				c.EndpointName = &p.EndpointName
				if p.Endpoint.IsValid() {
					c.Endpoint = &p.Endpoint
				}
			}
		}
		back.Peers = append(back.Peers, c)
	}
	return back
}
