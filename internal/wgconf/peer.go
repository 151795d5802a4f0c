package wgconf

import (
	"net/netip"
	"strings"

	"wgd/conf"
	"wgd/internal/quote"
	"wgd/internal/resolve"
	"wgd/key"
)

// peerRows are the directives of [Peer], in the order in which a new section
// has them.
var peerRows = []row[Peer]{
	{name: "Name", value: "NAME", origin: OurOwn, style: remark,
		meaning: "The name of the peer in the output of wgconfig(8) and in the log: up to 63 letters, digits and ._@-. No two peers have the same name.",
		decode: func(d *decoder, v value, p *Peer) {
			if err := conf.ValidName(v.text); err != nil {
				d.problems.warnf(v.line, "# Name: ignored: %s", quote.Text(err.Error()))
				return
			}
			p.Name = v.text
		},
		encode: func(p *Peer) []string { return nonEmpty(p.Name) }},
	{name: "PublicKey", value: "KEY",
		meaning: "The public key of the peer, in base64. Each [Peer] needs one. If two sections have the same one, what the second says replaces what the first said, and its AllowedIPs in any case.",
		decode: func(d *decoder, v value, p *Peer) {
			public, err := key.ParsePublic(v.text)
			if err != nil {
				d.problems.errorf(v.line, "PublicKey: %v", err)
				return
			}
			p.PublicKey = public
		},
		encode: func(p *Peer) []string { return []string{p.PublicKey.Base64()} }},
	{name: "PresharedKey", value: "KEY",
		meaning: "The key that both ends share beside their key pairs, in base64. All zeros: none.",
		decode: func(d *decoder, v value, p *Peer) {
			preshared, err := key.ParsePreshared(v.text)
			if err != nil {
				d.problems.errorf(v.line, "PresharedKey: %v", err)
				return
			}
			p.PresharedKey, p.PresharedKeyFile = preshared, ""
		},
		encode: func(p *Peer) []string {
			if p.PresharedKey.IsZero() || p.PresharedKeyFile != "" {
				return nil
			}
			return []string{p.PresharedKey.Base64()}
		}},
	{name: "PresharedKeyFile", value: "PATH", origin: OurOwn,
		meaning: keyFileMeaning("preshared"),
		decode: func(d *decoder, v value, p *Peer) {
			p.PresharedKeyFile = v.text
			d.keyFile(v, func(text string) (err error) {
				p.PresharedKey, err = key.ParsePreshared(text)
				return err
			})
		},
		encode: func(p *Peer) []string { return nonEmpty(p.PresharedKeyFile) }},
	{name: "AllowedIPs", value: "ADDRESS[/LENGTH],...", many: true,
		meaning: "The addresses that the peer has inside the tunnel: packets to them go to this peer, and packets from them are accepted from this peer alone. " +
			"The longest prefix counts; if two peers have the same prefix, the last one has it.",
		decode: func(d *decoder, v value, p *Peer) { p.AllowedIPs = append(p.AllowedIPs, d.prefixList(v)...) },
		encode: func(p *Peer) []string { return prefixes(p.AllowedIPs) }, same: sameMasked},
	{name: "ExcludedIPs", value: "ADDRESS[/LENGTH],...", origin: OurOwn, many: true,
		meaning: "Addresses that are taken out of the AllowedIPs of this section: 0.0.0.0/0 without 192.168.0.0/16, for example.",
		decode:  func(d *decoder, v value, p *Peer) { p.ExcludedIPs = append(p.ExcludedIPs, d.prefixList(v)...) },
		encode:  func(p *Peer) []string { return prefixes(p.ExcludedIPs) }, same: sameMasked},
	{name: "Endpoint", value: "HOST:PORT",
		meaning: "Where the peer is: an address or a name, and a port. Write an IPv6 address in brackets. A name is looked up again when its TTL has passed, when the peer is silent, and when the network changes. Without it, the peer must send first.",
		decode:  decodeEndpoint,
		encode: func(p *Peer) []string {
			if p.Endpoint == (resolve.Endpoint{}) {
				return nil
			}
			return []string{p.Endpoint.String()}
		}},
	{name: "PersistentKeepalive", value: "SECONDS",
		meaning: "How often a packet is sent if there is nothing else to send, 1 to 65535; `off` or 0, the default: never. 25 keeps the mappings of most NATs alive.",
		decode: func(d *decoder, v value, p *Peer) {
			n, ok := number(v.text, 1<<16-1)
			if !ok && fold(v.text) != off {
				d.wrong(v, v.text, "give a number of seconds from 1 to 65535, or off")
				return
			}
			p.PersistentKeepalive = uint16(n)
		},
		encode: func(p *Peer) []string {
			if p.PersistentKeepalive == 0 {
				return nil
			}
			return decimal(uint64(p.PersistentKeepalive))
		}},
}

// decodeEndpoint decodes HOST:PORT. wg reads 10.1 as 10.0.0.1, as inet_aton(3) does;
// that is more often a typing error.
func decodeEndpoint(d *decoder, v value, p *Peer) {
	e, err := resolve.Parse(v.text)
	if err != nil {
		d.wrong(v, v.text, "write HOST:PORT or [ADDRESS]:PORT, with a port from 1 to 65535")
		return
	}
	if _, err := netip.ParseAddr(e.Host); err != nil && strings.Trim(e.Host, "0123456789.") == "" {
		d.wrong(v, v.text, "an IPv4 address has four numbers from 0 to 255")
		return
	}
	p.Endpoint = e
}
