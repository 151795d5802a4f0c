package tunnelfile

import (
	"crypto/sha256"
	"encoding/base64"
	"io"
	"net/netip"
	"slices"

	"wgd/conf"
	"wgd/internal/resolve"
	"wgd/internal/wgconf"
	"wgd/key"
)

// Known is a tunnel as it was when it had come up, its hooks included, or when it was
// made what the file says the last time. It has no secrets.
type Known struct {
	PublicKey  key.Public  `json:"public_key"`
	ListenPort uint16      `json:"listen_port"`
	Mark       uint32      `json:"mark,omitempty"`
	MarkInFile bool        `json:"mark_in_file,omitempty"`
	MTU        int         `json:"mtu"`
	NoMSSClamp bool        `json:"no_mss_clamp,omitempty"`
	Peers      []KnownPeer `json:"peers,omitempty"`
}

// KnownPeer is one peer. What is InFile was given by the file; everything else by hooks.
type KnownPeer struct {
	PublicKey       key.Public     `json:"public_key"`
	InFile          bool           `json:"in_file,omitempty"`
	Name            string         `json:"name,omitempty"`
	NameInFile      bool           `json:"name_in_file,omitempty"`
	Preshared       string         `json:"preshared_key_digest,omitempty"` // "": none
	PresharedInFile bool           `json:"preshared_key_in_file,omitempty"`
	Endpoint        netip.AddrPort `json:"endpoint,omitzero"`
	EndpointName    string         `json:"endpoint_name,omitempty"`
	EndpointInFile  string         `json:"endpoint_in_file,omitempty"` // as resolve.Endpoint prints it, or doubtful
	Keepalive       uint16         `json:"persistent_keepalive,omitempty"`
	KeepaliveInFile bool           `json:"persistent_keepalive_in_file,omitempty"`
	AllowedIPs      []netip.Prefix `json:"allowed_ips,omitempty"`
}

// doubtful is no endpoint: the file may have had one, and it is not known which.
const doubtful = "?"

// digest tells one preshared key from another, and says nothing else about it.
func digest(k *key.Preshared) string {
	if k.IsZero() {
		return ""
	}
	bytes := k.Bytes()
	defer clear(bytes)
	h := sha256.New()
	defer h.Reset()
	io.WriteString(h, "wgd preshared key\x00")
	h.Write(bytes)
	return base64.StdEncoding.EncodeToString(h.Sum(nil))
}

// Remember returns what is known about a tunnel that is what the file says. before is
// what was known earlier, or nil: where the file says nothing, what it has stays, so that
// what was changed since then still counts as a change.
func Remember(file *wgconf.File, live *conf.Status, before *Known) *Known {
	k := &Known{PublicKey: live.PublicKey, ListenPort: live.ListenPort, Mark: live.FirewallMark,
		MarkInFile: file.Interface.FwMark != nil, MTU: live.MTU, NoMSSClamp: live.NoMSSClamp}
	if before != nil {
		if file.Interface.PrivateKey == nil {
			k.PublicKey = before.PublicKey
		}
		if p := file.Interface.ListenPort; p == nil || *p == 0 {
			k.ListenPort = before.ListenPort
		}
	}
	inFile, known := filePeers(file), before.peers()
	for i := range live.Peers {
		p := &live.Peers[i]
		in, old := inFile[p.PublicKey], known[p.PublicKey]
		if in == nil && before != nil && old == nil {
			continue // added by hand since then
		}
		k.Peers = append(k.Peers, rememberPeer(in, p, old))
	}
	return k
}

func rememberPeer(in *wgconf.Peer, live *conf.PeerStatus, old *KnownPeer) KnownPeer {
	k := KnownPeer{PublicKey: live.PublicKey, InFile: in != nil, Name: live.Name, Preshared: digest(&live.PresharedKey),
		Endpoint: live.Endpoint, EndpointName: live.EndpointName, Keepalive: live.PersistentKeepalive, AllowedIPs: slices.Clone(live.AllowedIPs)}
	if in == nil {
		if old != nil {
			return *old
		}
		return k
	}
	k.NameInFile, k.PresharedInFile, k.KeepaliveInFile = in.Name != "", !in.PresharedKey.IsZero() || in.PresharedKeyFile != "", in.PersistentKeepalive != 0
	if in.Endpoint != (resolve.Endpoint{}) {
		k.EndpointInFile = in.Endpoint.String()
	}
	if old == nil {
		return k
	}
	if !k.NameInFile && !old.NameInFile {
		k.Name = old.Name
	}
	if !k.PresharedInFile && !old.PresharedInFile {
		k.Preshared = old.Preshared
	}
	if !k.KeepaliveInFile && !old.KeepaliveInFile {
		k.Keepalive = old.Keepalive
	}
	if k.EndpointInFile == old.EndpointInFile {
		k.Endpoint, k.EndpointName = old.Endpoint, old.EndpointName
	}
	return k
}

// Doubt is what is known while the tunnel is being changed from k to next: whatever may
// have been in the file was in it, and an endpoint that changes is not known.
func (k *Known) Doubt(next *Known) *Known {
	if k == nil {
		return next
	}
	d := *k
	d.MarkInFile = k.MarkInFile || next.MarkInFile
	d.Peers = slices.Clone(k.Peers)
	known := d.peers()
	for i := range next.Peers {
		n := next.Peers[i]
		old := known[n.PublicKey]
		if old == nil {
			d.Peers = append(d.Peers, n)
			continue
		}
		old.InFile = old.InFile || n.InFile
		old.NameInFile = old.NameInFile || n.NameInFile
		old.PresharedInFile = old.PresharedInFile || n.PresharedInFile
		old.KeepaliveInFile = old.KeepaliveInFile || n.KeepaliveInFile
		if old.EndpointInFile != n.EndpointInFile {
			old.EndpointInFile = doubtful
		}
	}
	return &d
}

// peers are the peers by their public keys.
func (k *Known) peers() map[key.Public]*KnownPeer {
	m := map[key.Public]*KnownPeer{}
	if k == nil {
		return m
	}
	for i := range k.Peers {
		m[k.Peers[i].PublicKey] = &k.Peers[i]
	}
	return m
}

func filePeers(file *wgconf.File) map[key.Public]*wgconf.Peer {
	m := map[key.Public]*wgconf.Peer{}
	for i := range file.Peers {
		m[file.Peers[i].PublicKey] = &file.Peers[i]
	}
	return m
}

func livePeers(live *conf.Status) map[key.Public]*conf.PeerStatus {
	m := map[key.Public]*conf.PeerStatus{}
	for i := range live.Peers {
		m[live.Peers[i].PublicKey] = &live.Peers[i]
	}
	return m
}
