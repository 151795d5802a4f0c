package show

import (
	"net/netip"

	"wgd/conf"
	"wgd/internal/explain"
)

// JSONInterface is what `wgconfig INTERFACE --json` prints, as documented in
// the manual:
// later versions may add fields, but change none.
type JSONInterface struct {
	Interface  string            `json:"interface"`
	Up         bool              `json:"up"`
	MTU        int               `json:"mtu"`
	Fault      *string           `json:"fault"`
	PublicKey  *string           `json:"public_key"`
	ListenPort uint16            `json:"listen_port"`
	Fwmark     uint32            `json:"fwmark"`
	MSSClamp   bool              `json:"mss_clamp"`
	AEAD       *string           `json:"aead"`
	Tunables   map[string]string `json:"tunables"`
	Reasons    []explain.Reason  `json:"reasons"`
	Peers      []JSONPeer        `json:"peers"`
	Drops      map[string]uint64 `json:"drops"`
	Counters   map[string]uint64 `json:"counters"`
}

// JSONPeer is a peer in JSONInterface, and what `wgconfig INTERFACE show peer NAME
// --json` prints.
type JSONPeer struct {
	Name                string         `json:"name"`
	Named               bool           `json:"named"`
	PublicKey           string         `json:"public_key"`
	Endpoint            *string        `json:"endpoint"`
	EndpointName        *string        `json:"endpoint_name"`
	EndpointFailure     *string        `json:"endpoint_failure"`
	HasPresharedKey     bool           `json:"has_preshared_key"`
	PresharedKey        *string        `json:"preshared_key,omitempty"`
	AllowedIPs          []netip.Prefix `json:"allowed_ips"`
	LatestHandshake     int64          `json:"latest_handshake"`
	PersistentKeepalive uint16         `json:"persistent_keepalive"`
	RxBytes             uint64         `json:"rx_bytes"`
	TxBytes             uint64         `json:"tx_bytes"`
	PathMTU             int            `json:"path_mtu"`
	PathMTUSource       *string        `json:"path_mtu_source"`

	// As wgd explain has them, but without what ICMP says.
	State     explain.State    `json:"state"`
	StateText string           `json:"state_text"`
	Reasons   []explain.Reason `json:"reasons"`
}

// JSONPrivateKey is what `wgconfig INTERFACE show private-key --json` prints.
type JSONPrivateKey struct {
	Interface  string  `json:"interface"`
	PrivateKey *string `json:"private_key"`
}

// InterfaceJSON returns the interface without secrets.
func InterfaceJSON(facts *explain.Facts) JSONInterface {
	s := facts.Status
	out := JSONInterface{
		Interface:  s.Name,
		Up:         s.Up,
		MTU:        s.MTU,
		Fault:      nullIfEmpty(s.Fault),
		ListenPort: s.ListenPort,
		Fwmark:     s.FirewallMark,
		MSSClamp:   !s.NoMSSClamp,
		AEAD:       nullIfEmpty(s.AEAD),
		Tunables:   map[string]string{},
		Reasons:    facts.Reasons(),
		Peers:      make([]JSONPeer, len(s.Peers)),
		Drops:      map[string]uint64{},
		Counters:   map[string]uint64{},
	}
	if !s.PublicKey.IsZero() {
		out.PublicKey = nullIfEmpty(s.PublicKey.Base64())
	}
	for _, name := range conf.TunableNames() {
		out.Tunables[name], _ = s.Tunables.Get(name)
	}
	for i, name := range facts.Names {
		out.Peers[i] = PeerJSON(&s.Peers[i], name, facts.Peer(i), false)
	}
	for _, d := range s.Drops {
		out.Drops[d.Reason] += d.Count
	}
	for _, c := range s.Counters {
		out.Counters[c.Name] += c.Count
	}
	return out
}

// PeerJSON returns the peer under that name with its explanation, and with its
// preshared key if secrets is true.
func PeerJSON(p *conf.PeerStatus, name string, e explain.Peer, secrets bool) JSONPeer {
	out := JSONPeer{
		Name:                name,
		Named:               p.Name != "",
		PublicKey:           p.PublicKey.Base64(),
		HasPresharedKey:     !p.PresharedKey.IsZero() || p.PresharedKeyWithheld,
		AllowedIPs:          p.AllowedIPs,
		PersistentKeepalive: p.PersistentKeepalive,
		RxBytes:             p.RxBytes,
		TxBytes:             p.TxBytes,
		PathMTU:             p.PathMTU,
		State:               e.State,
		StateText:           e.Text,
		Reasons:             e.Reasons,
	}
	if out.AllowedIPs == nil {
		out.AllowedIPs = []netip.Prefix{}
	}
	out.PathMTUSource = nullIfEmpty(string(p.PathMTUSource))
	out.EndpointName, out.EndpointFailure = nullIfEmpty(p.EndpointName), nullIfEmpty(p.EndpointFailure)
	if p.Endpoint.IsValid() {
		out.Endpoint = nullIfEmpty(p.Endpoint.String())
	}
	if secrets && !p.PresharedKey.IsZero() {
		out.PresharedKey = nullIfEmpty(p.PresharedKey.Base64())
	}
	if !p.LastHandshake.IsZero() {
		out.LatestHandshake = p.LastHandshake.Unix()
	}
	return out
}

// PrivateKeyJSON returns the private key.
func PrivateKeyJSON(s *conf.Status) JSONPrivateKey {
	out := JSONPrivateKey{Interface: s.Name}
	if !s.PrivateKey.IsZero() {
		out.PrivateKey = nullIfEmpty(s.PrivateKey.Base64())
	}
	return out
}

// nullIfEmpty makes an empty string null in JSON.
func nullIfEmpty(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
