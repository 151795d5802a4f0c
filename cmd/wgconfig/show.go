package main

import (
	"bufio"
	"fmt"
	"io"
	"time"

	"wgd/conf"
	"wgd/internal/cli"
	"wgd/internal/control"
)

// ctime is the form of ctime(3).
const ctime = "Mon Jan _2 15:04:05 2006"

func statusOf(name string) (conf.Status, error) {
	client, err := control.Dial(name)
	if err != nil {
		return conf.Status{}, err
	}
	defer client.Close()
	return client.Status()
}

func showAll(c *cli.Call) error {
	status, err := statusOf(c.Arg("INTERFACE"))
	if err != nil {
		return err
	}
	if c.Has(optJSON.Long) {
		return c.PrintJSON(interfaceJSON(&status))
	}
	w := bufio.NewWriter(c.Stdout)
	writeInterface(w, &status)
	return w.Flush()
}

func showPeer(c *cli.Call) error {
	status, err := statusOf(c.Arg("INTERFACE"))
	if err != nil {
		return err
	}
	peer, name, err := find(&status, c.Arg("NAME"))
	if err != nil {
		return err
	}
	secrets := c.Has(optShowPSK.Long)
	if c.Has(optJSON.Long) {
		return c.PrintJSON(peerJSON(peer, name, secrets))
	}
	w := bufio.NewWriter(c.Stdout)
	fmt.Fprintf(w, "peer: %s\n", name)
	writePeer(w, peer, "\t", secrets)
	return w.Flush()
}

func showPrivateKey(c *cli.Call) error {
	status, err := statusOf(c.Arg("INTERFACE"))
	if err != nil {
		return err
	}
	if c.Has(optJSON.Long) {
		return c.PrintJSON(privateKeyJSON(&status))
	}
	text := "(none)"
	if !status.PrivateKey.IsZero() {
		text = status.PrivateKey.Base64()
	}
	_, err = fmt.Fprintf(c.Stdout, "private-key: %s\n", text)
	return err
}

// writeInterface writes the interface and its peers as NetBSD's program does.
// Lines of our own follow its lines, and only when they say something.
func writeInterface(w io.Writer, s *conf.Status) {
	fmt.Fprintf(w, "interface: %s\n\tprivate-key: (hidden)\n", s.Name)
	if s.ListenPort != 0 {
		fmt.Fprintf(w, "\tlisten-port: %d\n", s.ListenPort)
	} else {
		fmt.Fprint(w, "\tlisten-port: (none)\n")
	}
	if s.FirewallMark != 0 {
		fmt.Fprintf(w, "\tfwmark: %#x\n", s.FirewallMark)
	}
	if s.Fault != "" {
		fmt.Fprintf(w, "\tfault: %s\n", s.Fault)
	}
	for i, name := range displayNames(s.Peers) {
		fmt.Fprintf(w, "\tpeer: %s\n", name)
		writePeer(w, &s.Peers[i], "\t\t", false)
	}
}

// writePeer writes the lines of one peer, each after the indentation.
func writePeer(w io.Writer, p *conf.PeerStatus, indent string, secrets bool) {
	line := func(name, value string) { fmt.Fprintf(w, "%s%s: %s\n", indent, name, value) }
	line("public-key", p.PublicKey.Base64())
	line("endpoint", endpointText(p))
	line("preshared-key", presharedText(p, secrets))
	fmt.Fprintf(w, "%sallowed-ips: ", indent)
	writeAllowedIPs(w, p)
	line("latest-handshake", handshakeText(p))
	if p.RxBytes != 0 || p.TxBytes != 0 {
		line("transfer", fmt.Sprintf("%d bytes received, %d bytes sent", p.RxBytes, p.TxBytes))
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
