package uapi

import (
	"net/netip"
	"time"

	"wgd/conf"
	"wgd/internal/invalid"
	"wgd/internal/quote"
	"wgd/key"
)

// peerRows are the keys of the peer whose public_key preceded. setLine and
// readStatusLine handle public_key itself, because it begins a peer.
var peerRows = []row[conf.PeerChange, conf.PeerStatus]{
	{name: peerKeyName, value: hexKey, meaning: "begins a peer: the lines that follow are about it",
		encode: func(o *out, name string, p *conf.PeerChange) { o.public(name, &p.PublicKey) },
		answer: func(o *out, name string, p *conf.PeerStatus) { o.public(name, &p.PublicKey) }},
	{name: "remove", value: isTrue, meaning: "removes the peer",
		encode: func(o *out, name string, p *conf.PeerChange) { o.flag(name, p.Remove) },
		decode: func(d *Decoder, name string, value []byte) error { return parseTrue(name, value, &d.peer.Remove) }},
	{name: "update_only", value: isTrue, meaning: "does nothing if there is no such peer yet",
		encode: func(o *out, name string, p *conf.PeerChange) { o.flag(name, p.UpdateOnly) },
		decode: func(d *Decoder, name string, value []byte) error { return parseTrue(name, value, &d.peer.UpdateOnly) }},
	{name: "name", value: "up to 63 letters, digits and ._@-", meaning: "the name of the peer; empty: none. Absent while there is none",
		encode: func(o *out, name string, p *conf.PeerChange) {
			if p.Name != nil {
				o.text(name, *p.Name)
			}
		},
		decode: func(d *Decoder, _ string, value []byte) error {
			s := string(value)
			d.peer.Name = &s
			if s == "" {
				return nil
			}
			return conf.ValidName(s) // now, because a million long names would fill the memory
		},
		answer: func(o *out, name string, p *conf.PeerStatus) {
			if p.Name != "" {
				o.text(name, p.Name)
			}
		},
		read: func(p *conf.PeerStatus, _ string, value []byte) error {
			p.Name = string(value)
			return conf.ValidName(p.Name)
		}},
	{name: "preshared_key", value: hexKey, meaning: "the preshared key; all zeros: none",
		encode: func(o *out, name string, p *conf.PeerChange) {
			if p.PresharedKey != nil {
				o.secret(name, p.PresharedKey.AppendHex)
			}
		},
		decode: func(d *Decoder, name string, value []byte) error {
			preshared, err := key.ParsePresharedHex(string(value))
			clear(value)
			if err != nil {
				return invalid.Errorf("%s: %v", name, err)
			}
			d.peer.PresharedKey = &preshared
			return nil
		},
		answer: func(o *out, name string, p *conf.PeerStatus) {
			if !p.PresharedKeyWithheld {
				o.secret(name, p.PresharedKey.AppendHex)
			}
		},
		read: func(p *conf.PeerStatus, _ string, value []byte) (err error) {
			p.PresharedKey, err = key.ParsePresharedHex(string(value))
			clear(value)
			return err
		}},
	{name: "preshared_key_withheld", value: "0 or 1", meaning: "whether there is a preshared key, which this client may not see. Absent while it is 0",
		answer: func(o *out, name string, p *conf.PeerStatus) {
			if p.PresharedKeyWithheld {
				o.bit(name, true)
			}
		},
		read: func(p *conf.PeerStatus, _ string, value []byte) error {
			p.PresharedKeyWithheld = string(value) == "1"
			return nil
		}},
	{name: "protocol_version", value: "1", meaning: "the version of WireGuard's protocol",
		decode: func(_ *Decoder, name string, value []byte) error {
			if string(value) != "1" {
				return invalid.Errorf("%s: %s: this daemon speaks version 1", name, quote.Text(string(value)))
			}
			return nil
		},
		answer: func(o *out, name string, _ *conf.PeerStatus) { o.text(name, "1") }},
	{name: "endpoint", value: "ADDRESS:PORT, or [ADDRESS]:PORT for IPv6", meaning: "the address and port of the peer. Absent while it is not known",
		encode: func(o *out, name string, p *conf.PeerChange) {
			if p.Endpoint != nil {
				o.address(name, *p.Endpoint)
			}
		},
		decode: func(d *Decoder, name string, value []byte) error { return parseEndpoint(name, value, &d.peer.Endpoint) },
		answer: func(o *out, name string, p *conf.PeerStatus) {
			if p.Endpoint.IsValid() {
				o.address(name, p.Endpoint)
			}
		},
		read: func(p *conf.PeerStatus, _ string, value []byte) (err error) {
			p.Endpoint, err = netip.ParseAddrPort(string(value))
			return err
		}},
	{name: "endpoint_name", value: "HOST:PORT", meaning: "the endpoint by name, which the daemon looks up again and again; empty: none. Absent while there is none. An endpoint without endpoint_name removes it",
		encode: func(o *out, name string, p *conf.PeerChange) {
			if p.EndpointName != nil {
				o.text(name, *p.EndpointName)
			}
		},
		decode: func(d *Decoder, _ string, value []byte) error {
			s := string(value)
			d.peer.EndpointName = &s
			if s == "" {
				return nil
			}
			_, _, err := conf.SplitEndpointName(s) // now, because a million long names would fill the memory
			return err
		},
		answer: func(o *out, name string, p *conf.PeerStatus) {
			if p.EndpointName != "" {
				o.text(name, p.EndpointName)
			}
		},
		read: func(p *conf.PeerStatus, _ string, value []byte) error {
			p.EndpointName = string(value)
			_, _, err := conf.SplitEndpointName(p.EndpointName)
			return err
		}},
	{name: "endpoint_failure", value: "a sentence", meaning: "why the last lookup of endpoint_name failed. Absent if it did not",
		answer: func(o *out, name string, p *conf.PeerStatus) {
			if p.EndpointFailure != "" {
				o.text(name, sentence(p.EndpointFailure))
			}
		},
		read: func(p *conf.PeerStatus, _ string, value []byte) error {
			p.EndpointFailure = sentence(string(value))
			return nil
		}},
	{name: "initiate", value: isTrue, meaning: "begins a handshake at once, if there is an endpoint and no session that works; not before net.wg.rekey_timeout has passed since the last handshake message to this peer, unless the peer was removed meanwhile or the network has changed",
		encode: func(o *out, name string, p *conf.PeerChange) { o.flag(name, p.Initiate) },
		decode: func(d *Decoder, name string, value []byte) error { return parseTrue(name, value, &d.peer.Initiate) }},
	{name: "stamp", value: hexStamp, meaning: "the greatest timestamp (TAI64N) of initiations that was received from the peer, by any gateway with this private key: those that are not newer are refused. It only rises: a smaller one changes nothing. Absent while there is none",
		encode: func(o *out, name string, p *conf.PeerChange) {
			if p.Stamp != nil {
				o.text(name, p.Stamp.String())
			}
		},
		decode: func(d *Decoder, name string, value []byte) error { return parseStamp(name, value, &d.peer.Stamp) },
		answer: func(o *out, name string, p *conf.PeerStatus) {
			if !p.Stamp.IsZero() {
				o.text(name, p.Stamp.String())
			}
		},
		read: func(p *conf.PeerStatus, name string, value []byte) error {
			stamp := &p.Stamp
			if err := parseStamp(name, value, &stamp); err != nil {
				return err
			}
			p.Stamp = *stamp
			return nil
		}},
	{name: "lent", value: "0 to 4294967295", meaning: "seconds without a session, and without anything received, after which the peer is removed; 0: it stays. A session counts for three minutes, also if it is lost before. A set begins the time again. Absent while it is 0",
		encode: func(o *out, name string, p *conf.PeerChange) { optional(o, name, p.Lent) },
		decode: func(d *Decoder, name string, value []byte) error { return parseNumber(name, value, &d.peer.Lent) },
		answer: func(o *out, name string, p *conf.PeerStatus) {
			if p.Lent != 0 {
				o.number(name, uint64(p.Lent))
			}
		},
		read: func(p *conf.PeerStatus, name string, value []byte) error { return parseInto(&p.Lent, name, value) }},
	{name: "last_handshake_time_sec", value: "a number", meaning: "the time of the last handshake, in seconds since 1970; 0: never",
		answer: func(o *out, name string, p *conf.PeerStatus) {
			sec, _ := handshakeTime(p)
			o.number(name, sec)
		},
		read: func(p *conf.PeerStatus, name string, value []byte) error { return addTime(p, name, value, time.Second) }},
	{name: "last_handshake_time_nsec", value: "a number", meaning: "the nanoseconds of that time",
		answer: func(o *out, name string, p *conf.PeerStatus) {
			_, nsec := handshakeTime(p)
			o.number(name, nsec)
		},
		read: func(p *conf.PeerStatus, name string, value []byte) error {
			return addTime(p, name, value, time.Nanosecond)
		}},
	{name: "tx_bytes", value: "a number", meaning: "bytes sent to the peer, in UDP payloads",
		answer: func(o *out, name string, p *conf.PeerStatus) { o.number(name, p.TxBytes) },
		read:   func(p *conf.PeerStatus, name string, value []byte) error { return parseInto(&p.TxBytes, name, value) }},
	{name: "rx_bytes", value: "a number", meaning: "bytes received from the peer, in authentic UDP payloads",
		answer: func(o *out, name string, p *conf.PeerStatus) { o.number(name, p.RxBytes) },
		read:   func(p *conf.PeerStatus, name string, value []byte) error { return parseInto(&p.RxBytes, name, value) }},
	{name: "path_mtu", value: "a number", meaning: "the MTU of the path to the endpoint, if it is known to be smaller than that of the first link",
		answer: func(o *out, name string, p *conf.PeerStatus) {
			if p.PathMTU > 0 {
				o.number(name, uint64(p.PathMTU))
			}
		},
		read: func(p *conf.PeerStatus, name string, value []byte) error {
			var mtu uint16
			err := parseInto(&mtu, name, value)
			p.PathMTU = int(mtu)
			return err
		}},
	{name: "path_mtu_source", value: "route, icmp or probe", meaning: "how that MTU is known: a route names it, ICMP reported it, or probes have found it",
		answer: func(o *out, name string, p *conf.PeerStatus) {
			if p.PathMTUSource != "" {
				o.text(name, string(p.PathMTUSource))
			}
		},
		read: func(p *conf.PeerStatus, name string, value []byte) error {
			source := conf.PathMTUSource(value)
			switch source {
			case conf.PathMTUOfRoute, conf.PathMTUByICMP, conf.PathMTUByProbe:
				p.PathMTUSource = source
			}
			return nil
		}},
	{name: "persistent_keepalive_interval", value: "0 to 65535", meaning: "seconds; 0: off",
		encode: func(o *out, name string, p *conf.PeerChange) { optional(o, name, p.PersistentKeepalive) },
		decode: func(d *Decoder, name string, value []byte) error {
			return parseNumber(name, value, &d.peer.PersistentKeepalive)
		},
		answer: func(o *out, name string, p *conf.PeerStatus) { o.number(name, uint64(p.PersistentKeepalive)) },
		read: func(p *conf.PeerStatus, name string, value []byte) error {
			return parseInto(&p.PersistentKeepalive, name, value)
		}},
	{name: "replace_allowed_ips", value: isTrue, meaning: "removes all allowed IPs of the peer, also those added by earlier lines",
		encode: func(o *out, name string, p *conf.PeerChange) { o.flag(name, p.ReplaceAllowedIPs) },
		decode: func(d *Decoder, name string, value []byte) error {
			d.prefixes -= len(d.peer.AllowedIPs)
			d.peer.AllowedIPs = nil
			return parseTrue(name, value, &d.peer.ReplaceAllowedIPs)
		}},
	{name: "allowed_ip", value: "ADDRESS/LENGTH", meaning: "one line for each; in a set, -ADDRESS/LENGTH removes one",
		encode: func(o *out, name string, p *conf.PeerChange) {
			for _, a := range p.AllowedIPs {
				o.allowedIP(name, a)
			}
		},
		decode: func(d *Decoder, name string, value []byte) error { return d.allowedIP(name, value) },
		answer: func(o *out, name string, p *conf.PeerStatus) {
			for _, prefix := range p.AllowedIPs {
				o.allowedIP(name, conf.AllowedIPChange{Prefix: prefix})
			}
		},
		read: func(p *conf.PeerStatus, _ string, value []byte) error {
			prefix, err := netip.ParsePrefix(string(value))
			p.AllowedIPs = append(p.AllowedIPs, prefix)
			return err
		}},
	{name: "observation", value: "KIND COUNT FIRST LAST, then key=, address= and detail=", meaning: "as for the interface, about this peer",
		answer: func(o *out, name string, s *conf.PeerStatus) { o.observations(name, s.Observations) },
		read: func(s *conf.PeerStatus, name string, value []byte) error {
			return addObservation(&s.Observations, name, value)
		}},
}
