package tunnelfile

import (
	"fmt"
	"slices"
	"strings"

	"wgd/conf"
	"wgd/internal/invalid"
	"wgd/internal/resolve"
	"wgd/internal/wgconf"
	"wgd/key"
)

// Save returns what the file says with the changes of the tunnel since it came up, or
// since it was reloaded or saved. Where the tunnel has not changed, the file stays, also
// if it was edited meanwhile. It shares the keys of file and live. Notes say what was not
// taken over, and why. The error is a change that the file cannot express.
func Save(file *wgconf.File, known *Known, live *conf.Status) (saved *wgconf.File, notes []string, err error) {
	s := &saving{live: livePeers(live), known: known.peers()}
	to := &wgconf.File{Interface: file.Interface}
	if err := s.tunnel(&to.Interface, known, live); err != nil {
		return nil, nil, err
	}
	there := filePeers(file)
	for i := range file.Peers {
		p := file.Peers[i]
		if s.live[p.PublicKey] == nil && s.known[p.PublicKey] != nil {
			continue // removed
		}
		if err := s.peer(&p); err != nil {
			return nil, nil, err
		}
		to.Peers = append(to.Peers, p)
	}
	for i := range live.Peers {
		if p := &live.Peers[i]; p.Lent == 0 && there[p.PublicKey] == nil && s.known[p.PublicKey] == nil {
			to.Peers = append(to.Peers, wgconf.Peer{PublicKey: p.PublicKey, Name: p.Name, PresharedKey: p.PresharedKey,
				AllowedIPs: slices.Clone(p.AllowedIPs), Endpoint: endpointOf(p), PersistentKeepalive: p.PersistentKeepalive})
		}
	}
	return to, s.notes(), nil
}

// saving is a Save in progress.
type saving struct {
	live  map[key.Public]*conf.PeerStatus
	known map[key.Public]*KnownPeer
	told  []*conf.PeerStatus // peers that may have told their endpoints
}

// tunnel takes over what has changed about the interface.
func (s *saving) tunnel(to *wgconf.Interface, known *Known, live *conf.Status) error {
	if live.PublicKey != known.PublicKey {
		switch {
		case live.PublicKey.IsZero():
			return invalid.Errorf("the interface has no private key any more: set it again, or remove it from the file")
		case to.PrivateKeyFile != "":
			return invalid.Errorf("the private key has changed, and the file names a file that has it, PrivateKeyFile = %s: write the key there, and run wgd reload", to.PrivateKeyFile)
		}
		to.PrivateKey = &live.PrivateKey
	}
	if live.ListenPort != known.ListenPort && live.ListenPort != 0 {
		to.ListenPort = &live.ListenPort
	}
	if live.FirewallMark != known.Mark {
		to.FwMark = &live.FirewallMark
	}
	if to.Network.MTU != 0 && live.MTU != known.MTU {
		to.Network.MTU = live.MTU
	}
	if live.NoMSSClamp != known.NoMSSClamp {
		to.Network.NoMSSClamp = live.NoMSSClamp
	}
	return nil
}

// peer takes over what has changed about a peer.
func (s *saving) peer(p *wgconf.Peer) error {
	live, known := s.live[p.PublicKey], s.known[p.PublicKey]
	if live == nil {
		return nil // the file was edited, and not reloaded
	}
	if known == nil { // added to the file and to the tunnel
		known = &KnownPeer{Name: p.Name, Preshared: digest(&p.PresharedKey), EndpointName: live.EndpointName,
			Keepalive: p.PersistentKeepalive, AllowedIPs: p.Allowed()}
	}
	if live.Name != known.Name {
		p.Name = live.Name
	}
	if live.PersistentKeepalive != known.Keepalive {
		p.PersistentKeepalive = live.PersistentKeepalive
	}
	if digest(&live.PresharedKey) != known.Preshared {
		if !live.PresharedKey.IsZero() && p.PresharedKeyFile != "" {
			return invalid.Errorf("peer %s: the preshared key has changed, and the file names a file that has it, PresharedKeyFile = %s: write the key there, and run wgd reload",
				called(live.Name, p.PublicKey), p.PresharedKeyFile)
		}
		p.PresharedKey, p.PresharedKeyFile = live.PresharedKey, ""
	}
	s.endpoint(p, known, live)
	if !samePrefixes(live.AllowedIPs, known.AllowedIPs) {
		p.SetAllowed(live.AllowedIPs)
	}
	return nil
}

// endpoint takes over an endpoint that has changed. That of a name has not if the name is
// the same: the address may be another one that it has. An endpoint that the file does not
// have is taken over unless the peer itself may have told it.
func (s *saving) endpoint(p *wgconf.Peer, known *KnownPeer, live *conf.PeerStatus) {
	_, literal := p.Endpoint.Literal()
	switch none := p.Endpoint == (resolve.Endpoint{}); {
	case live.EndpointName != known.EndpointName:
		p.Endpoint = endpointOf(live)
	case live.EndpointName != "" || live.Endpoint == known.Endpoint || !live.Endpoint.IsValid():
	case literal || none && live.RxBytes == 0:
		p.Endpoint = endpointOf(live)
	case none:
		s.told = append(s.told, live)
	}
}

// notes say which endpoints were not taken over: in one line, because the peers may be
// many.
func (s *saving) notes() []string {
	const maxNames = 3
	switch n := len(s.told); {
	case n == 0:
		return nil
	case n == 1:
		p := s.told[0]
		return []string{fmt.Sprintf("peer %s: the endpoint %s is not saved, because the peer may have told it by its packets: to keep it, add Endpoint to the file",
			called(p.Name, p.PublicKey), p.Endpoint)}
	default:
		var names []string
		for _, p := range s.told[:min(n, maxNames)] {
			names = append(names, called(p.Name, p.PublicKey))
		}
		list := strings.Join(names, ", ")
		if n > maxNames {
			list += fmt.Sprintf(" and %d more", n-maxNames)
		}
		return []string{fmt.Sprintf("peers %s: their endpoints are not saved, because the peers may have told them by their packets: to keep one, add Endpoint to the file", list)}
	}
}

// endpointOf returns the endpoint of a peer: its name if it has one.
func endpointOf(p *conf.PeerStatus) resolve.Endpoint {
	text := p.EndpointName
	if text == "" && p.Endpoint.IsValid() {
		text = p.Endpoint.String()
	}
	e, _ := resolve.Parse(text)
	return e
}

// Expresses reports whether a file that was read again says what was to be saved.
func Expresses(read, saved *wgconf.File) bool {
	a, b := read.Change(), saved.Change()
	if len(a.Peers) != len(b.Peers) || !sameValue(a.ListenPort, b.ListenPort) || !sameValue(a.FirewallMark, b.FirewallMark) ||
		!sameValue(a.MSSClamp, b.MSSClamp) || read.Interface.Network.MTU != saved.Interface.Network.MTU ||
		(a.PrivateKey == nil) != (b.PrivateKey == nil) || a.PrivateKey != nil && !a.PrivateKey.Equal(*b.PrivateKey) {
		return false
	}
	again := filePeers(read)
	for i := range saved.Peers {
		p := &saved.Peers[i]
		r := again[p.PublicKey]
		if r == nil || r.Name != p.Name || !r.PresharedKey.Equal(p.PresharedKey) || r.PresharedKeyFile != p.PresharedKeyFile ||
			r.Endpoint != p.Endpoint || r.PersistentKeepalive != p.PersistentKeepalive || !samePrefixes(r.Allowed(), p.Allowed()) {
			return false
		}
	}
	return true
}

func sameValue[T comparable](a, b *T) bool {
	if a == nil || b == nil {
		return a == b
	}
	return *a == *b
}

// RememberSaved is what is known about a tunnel whose changes were saved: an endpoint that
// was not saved is not known to be that of the file.
func RememberSaved(file, saved *wgconf.File, live *conf.Status, before *Known) *Known {
	k := Remember(saved, live, before)
	old, was, is := before.peers(), filePeers(file), filePeers(saved)
	for i := range k.Peers {
		p := &k.Peers[i]
		o, f, s := old[p.PublicKey], was[p.PublicKey], is[p.PublicKey]
		if o != nil && f != nil && s != nil && f.Endpoint == s.Endpoint {
			p.EndpointInFile = o.EndpointInFile
		}
	}
	return k
}
