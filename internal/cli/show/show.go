// Package show formats the status of an interface for people and for programs. All
// commands that print a status use it.
package show

import (
	"fmt"
	"io"
	"strings"
	"time"

	"wgd/conf"
)

// ctime is the layout of ctime(3).
const ctime = "Mon Jan _2 15:04:05 2006"

// Interface writes the interface and its peers as NetBSD's wgconfig does. Lines that
// NetBSD does not have follow, and only if there is something to show.
func Interface(w io.Writer, s *conf.Status) {
	fmt.Fprintf(w, "interface: %s\n\tprivate-key: (hidden)\n", s.Name)
	if s.ListenPort != 0 {
		fmt.Fprintf(w, "\tlisten-port: %d\n", s.ListenPort)
	} else {
		fmt.Fprint(w, "\tlisten-port: (none)\n")
	}
	if s.FirewallMark != 0 {
		fmt.Fprintf(w, "\tfwmark: %#x\n", s.FirewallMark)
	}
	if s.NoMSSClamp {
		fmt.Fprint(w, "\tmss-clamp: off\n")
	}
	if s.Fault != "" {
		fmt.Fprintf(w, "\tfault: %s\n", s.Fault)
	}
	if strings.ContainsAny(s.AEAD, ";(") { // more than a name: a kernel failed its self-test, or nothing is encrypted
		fmt.Fprintf(w, "\taead: %s\n", s.AEAD)
	}
	for i, name := range Names(s.Peers) {
		fmt.Fprintf(w, "\tpeer: %s\n", name)
		Peer(w, &s.Peers[i], "\t\t", false)
	}
}

// Peer writes the lines of one peer, each with the indentation. The preshared key is
// shown only if secrets is true.
func Peer(w io.Writer, p *conf.PeerStatus, indent string, secrets bool) {
	line := func(name, value string) { fmt.Fprintf(w, "%s%s: %s\n", indent, name, value) }
	line("public-key", p.PublicKey.Base64())
	line("endpoint", endpointText(p))
	if p.EndpointName != "" {
		line("endpoint-name", p.EndpointName)
	}
	if p.EndpointFailure != "" {
		line("endpoint-failure", p.EndpointFailure)
	}
	line("preshared-key", presharedText(p, secrets))
	fmt.Fprintf(w, "%sallowed-ips: ", indent)
	writeAllowedIPs(w, p)
	line("latest-handshake", handshakeText(p))
	if p.RxBytes != 0 || p.TxBytes != 0 {
		line("transfer", fmt.Sprintf("%d bytes received, %d bytes sent", p.RxBytes, p.TxBytes))
	}
	if p.PathMTU != 0 {
		line("path-mtu", fmt.Sprint(p.PathMTU))
	}
	if p.PathMTUSource != "" {
		line("path-mtu-source", string(p.PathMTUSource))
	}
	if p.PersistentKeepalive != 0 {
		line("persistent-keepalive", fmt.Sprint(p.PersistentKeepalive))
	}
}

func endpointText(p *conf.PeerStatus) string {
	if !p.Endpoint.IsValid() {
		return "(none)"
	}
	return p.Endpoint.String()
}

func presharedText(p *conf.PeerStatus, secrets bool) string {
	switch {
	case !secrets:
		return "(hidden)"
	case p.PresharedKeyWithheld:
		return "(withheld: this user may not read it)"
	case p.PresharedKey.IsZero():
		return "(none)"
	}
	return p.PresharedKey.Base64()
}

func writeAllowedIPs(w io.Writer, p *conf.PeerStatus) {
	if len(p.AllowedIPs) == 0 {
		io.WriteString(w, "(none)\n")
		return
	}
	var line []byte
	for i, prefix := range p.AllowedIPs {
		if i > 0 {
			line = append(line, ',')
		}
		line = prefix.AppendTo(line)
	}
	w.Write(append(line, '\n'))
}

func handshakeText(p *conf.PeerStatus) string {
	if p.LastHandshake.IsZero() {
		return "(never)"
	}
	return p.LastHandshake.In(time.Local).Format(ctime)
}
