package web

import (
	"cmp"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"strings"

	"rsc.io/qr"

	"wgd/conf"
	"wgd/internal/control"
	"wgd/internal/peerform"
	"wgd/key"
)

// Addresses returns the addresses of an interface, with the length of their prefixes.
type Addresses func(name string) []netip.Prefix

type (
	// A clientJSON is what a user has entered for the file of a new peer.
	clientJSON struct {
		Address  string `json:"address"`  // of the new peer in the tunnel, with commas between several
		Endpoint string `json:"endpoint"` // at which it reaches this host
		Allowed  string `json:"allowed"`  // what it sends into the tunnel
		DNS      string `json:"dns"`
	}
	fileJSON struct {
		Name string `json:"name"`
		Text string `json:"text"`
		QR   qrJSON `json:"qr"`
	}
	// A qrJSON is a QR code: its black squares as a path of SVG, without the quiet zone.
	qrJSON struct {
		Size int    `json:"size"`
		Path string `json:"path"`
	}
)

// checkClient checks what the file for a new peer gets, and makes the addresses of the peer
// its allowed IPs here.
func (f *form) checkClient(addresses Addresses) {
	c := f.Client
	list, err := peerform.AllowedIPs(strings.ReplaceAll(c.Address, " ", ""))
	if err == nil && len(list) == 0 {
		err = errors.New("give the new peer an address in the tunnel, such as " + cmp.Or(freeAddress(f.status, addresses(f.Interface)), "10.2.0.42/32"))
	}
	for _, a := range list {
		if !a.Prefix.IsSingleIP() {
			err = fmt.Errorf("%s is a network: give one address, with /%d", a.Prefix, a.Prefix.Addr().BitLen())
		}
	}
	f.check("address", err)
	c.Address = prefixes(list)
	allowed := strings.ReplaceAll(c.Address, " ", "")
	f.Allowed = &allowed
	if c.Endpoint == "" {
		f.check("client-endpoint", errors.New("give the address and port at which the new peer reaches this host"))
	} else {
		f.check("client-endpoint", peerform.SetEndpoint(new(conf.PeerChange), c.Endpoint))
	}
	list, err = peerform.AllowedIPs(c.Allowed)
	if c.Allowed = prefixes(list); err == nil && c.Allowed == "" {
		err = errors.New("give the addresses that the new peer reaches through the tunnel; 0.0.0.0/0,::/0 are all")
	}
	f.check("client-allowed", err)
	var servers []string
	for name := range strings.FieldsFuncSeq(c.DNS, func(r rune) bool { return r == ',' || r == ' ' }) {
		if a, err := netip.ParseAddr(name); err != nil || a.Zone() != "" {
			f.check("dns", fmt.Errorf("%q is not an IP address: give those of name servers, with commas between them", name))
		}
		servers = append(servers, name)
	}
	c.DNS = strings.Join(servers, ", ")
	if f.status.PublicKey.IsZero() {
		f.check("address", fmt.Errorf("%s has no private key: set it first, so that the new peer can know its public key", f.Interface))
	}
}

// prefixes lists prefixes as a file has them.
func prefixes(list []conf.AllowedIPChange) string {
	var texts []string
	for _, a := range list {
		texts = append(texts, a.Prefix.String())
	}
	return strings.Join(texts, ", ")
}

// applyClient makes a key pair, adds the new peer, and answers with its file. The private
// key is in that answer only.
func (f *form) applyClient(client *control.Client) error {
	private, err := key.GeneratePrivate(rand.Reader)
	if err != nil {
		return err
	}
	defer private.Erase()
	f.change.PublicKey = private.Public()
	text := f.clientFile(private)
	code, err := qr.Encode(text, qr.L)
	if err != nil {
		return fmt.Errorf("QR code: %w: give less for the file", err)
	}
	if err := client.Apply(conf.Change{Peers: []conf.PeerChange{f.change}}); err != nil {
		return err
	}
	f.answer.Done = true
	f.answer.File = &fileJSON{Name: *f.Name + ".conf", Text: text, QR: qrJSON{code.Size, squares(code)}}
	return nil
}

// clientFile is the file of the new peer, as wg-quick(8) and the apps for telephones read
// it.
func (f *form) clientFile(private key.Private) string {
	var b strings.Builder
	fmt.Fprintf(&b, "[Interface]\nPrivateKey = %s\nAddress = %s\n", private.Base64(), f.Client.Address)
	if f.Client.DNS != "" {
		fmt.Fprintf(&b, "DNS = %s\n", f.Client.DNS)
	}
	fmt.Fprintf(&b, "\n[Peer]\nPublicKey = %s\nEndpoint = %s\nAllowedIPs = %s\nPersistentKeepalive = 25\n", f.status.PublicKey.Base64(), f.Client.Endpoint, f.Client.Allowed)
	return b.String()
}

// squares draws the black squares of a QR code as rows of a path.
func squares(code *qr.Code) string {
	var b strings.Builder
	for y := range code.Size {
		for x := 0; x < code.Size; x++ {
			n := 0
			for code.Black(x+n, y) {
				n++
			}
			if n > 0 {
				fmt.Fprintf(&b, "M%d %dh%dv1h-%dz", x, y, n, n)
				x += n
			}
		}
	}
	return b.String()
}

// maxTried is how many addresses of a network are tried.
const maxTried = 1 << 17

// freeAddress returns an address of each network of the interface that no peer has, as a
// list for a form; "" if there is none.
func freeAddress(status *conf.Status, networks []netip.Prefix) string {
	var free []string
	for _, network := range networks {
		if a, ok := freeIn(status, network); ok {
			free = append(free, netip.PrefixFrom(a, a.BitLen()).String())
		}
	}
	return strings.Join(free, ",")
}

// freeIn returns the first address of a network that neither the interface nor a peer has.
// network is the address of the interface with the length of its prefix.
func freeIn(status *conf.Status, network netip.Prefix) (netip.Addr, bool) {
	taken := map[netip.Addr]bool{network.Addr(): true}
	var wide []netip.Prefix
	for i := range status.Peers {
		for _, p := range status.Peers[i].AllowedIPs {
			switch {
			case p.IsSingleIP():
				taken[p.Addr()] = true
			case p.Bits() > network.Bits() && p.Overlaps(network):
				wide = append(wide, p)
			}
		}
	}
	a := network.Masked().Addr().Next() // the first one is that of the network
	for range maxTried {
		next := a.Next()
		if !network.Contains(a) || a.Is4() && !network.Contains(next) { // the last one is for broadcasts
			return netip.Addr{}, false
		}
		used := taken[a]
		for _, p := range wide {
			used = used || p.Contains(a)
		}
		if !used {
			return a, true
		}
		a = next
	}
	return netip.Addr{}, false
}

// client answers with what a form for a new peer begins with.
func (h *Handler) client(w http.ResponseWriter, r *http.Request) {
	name := r.URL.Query().Get("interface")
	if conf.ValidInterfaceName(name) != nil {
		refuse(w, http.StatusBadRequest, "No such interface", "The address names no interface.")
		return
	}
	status := statusOf(w, name)
	if status == nil {
		return
	}
	networks := h.addresses(name)
	var allowed []string
	for _, n := range networks {
		allowed = append(allowed, n.Masked().String())
	}
	answer(w, struct {
		Address string `json:"address"`
		Allowed string `json:"allowed"`
		Port    uint16 `json:"port"`
	}{freeAddress(status, networks), strings.Join(allowed, ","), status.ListenPort})
}
