package main

import (
	"strings"

	"wgd/conf"
	"wgd/internal/cli"
	"wgd/internal/cli/show"
	"wgd/internal/control"
)

// The options, one meaning each.
var (
	optJSON         = cli.Option{Long: "json", Text: "Print JSON instead of text."}
	optShowPSK      = cli.Option{Long: "show-preshared-key", Text: "Print the peer's preshared key, too."}
	optPresharedKey = cli.Option{Long: "preshared-key", Value: "FILE", Text: "Use the preshared key in the file, as wg-keygen --psk prints it; /dev/null means none."}
	optEndpoint     = cli.Option{Long: "endpoint", Value: "HOST:PORT", Text: "Where the peer is: an address, [IPv6 address], or host name, and its UDP port."}
	optAllowedIPs   = cli.Option{Long: "allowed-ips", Value: "IP/CIDR[,IP/CIDR]...", Text: "The addresses that the peer may use inside the tunnel, all of them."}
	optKeepalive    = cli.Option{Long: "persistent-keepalive", Value: "SECONDS", Text: "Send a keepalive whenever nothing was sent or received for so long (1 to 65535); off or 0 for never."}
	optRename       = cli.Option{Long: "rename", Value: "NEW", Text: "Give the peer another name."}
	optWrite        = cli.Option{Short: 'w', Text: "Set the names that have a value, and print the old value and the new."}
)

// nameOrValue is the placeholder of sysctl.
const nameOrValue = "NAME[=VALUE]"

func command() *cli.Command {
	return &cli.Command{
		Name:        "wgconfig",
		Summary:     "configure a wg interface, or show it",
		Description: description,
		Forms:       forms(),
		Placeholder: placeholders,
		Files:       files,
		Examples:    examples,
		SeeAlso:     []string{"wgd(8)", "wg-ifconfig(8)", "wg-keygen(8)", "wg(8)"},
		Complete:    completions,
	}
}

func forms() []cli.Form {
	peerOptions := []cli.Option{optPresharedKey, optEndpoint, optAllowedIPs, optKeepalive}
	return []cli.Form{
		{Syntax: "INTERFACE [show all]", Options: []cli.Option{optJSON}, Run: showAll,
			Summary: "show the interface and its peers, without secrets"},
		{Syntax: "INTERFACE show", Options: []cli.Option{optJSON}, Run: showAll, Hidden: true},
		{Syntax: "INTERFACE show peer NAME", Options: []cli.Option{optShowPSK, optJSON}, Run: showPeer,
			Summary: "show one peer"},
		{Syntax: "INTERFACE show private-key", Options: []cli.Option{optJSON}, Run: showPrivateKey,
			Summary: "print the private key"},
		{Syntax: "INTERFACE set private-key FILE", Run: setPrivateKey,
			Summary: "use the private key in the file",
			Text:    []string{"The file holds the key in base64, as wg-keygen prints it. /dev/null takes the key away. Setting the key that the interface has changes nothing."}},
		{Syntax: "INTERFACE set listen-port PORT", Run: setListenPort,
			Summary: "listen on a UDP port",
			Text:    []string{"0 lets the system choose one that is free for IPv4 and IPv6."}},
		{Syntax: "INTERFACE set fwmark MARK", Run: setFirewallMark,
			Summary: "mark every packet that the tunnel sends outside",
			Text:    []string{"The mark is decimal, or hexadecimal after 0x. Policy routing and the firewall see it (SO_MARK). 0 or off: no mark."}},
		{Syntax: "INTERFACE add peer NAME PUBKEY", Options: peerOptions, Run: addPeer,
			Summary: "add a peer",
			Text:    []string{"A name or a public key that the interface has already is refused. An allowed IP that another peer has moves to this one."}},
		{Syntax: "INTERFACE set peer NAME", Options: append(peerOptions[:len(peerOptions):len(peerOptions)], optRename), Run: setPeer,
			Summary: "change a peer",
			Text:    []string{"What no option names stays as it is. The allowed IPs given replace those that the peer has."}},
		{Syntax: "INTERFACE delete peer NAME", Run: deletePeer,
			Summary: "delete a peer"},
		{Syntax: "INTERFACE sysctl OPTIONS [" + nameOrValue + "...]", Options: []cli.Option{optWrite}, Run: sysctl,
			Summary: "show or set the timers of the protocol, for tests and debugging",
			Text:    []string{"Without a name it shows all. A change applies at once."}},
	}
}

var description = []string{
	"Wgconfig sets the private key, the port and the peers of a wg interface, and shows them. The interface is made, brought up and given its addresses with wg-ifconfig(8).",
	"A peer that another program added without a name is shown, and may be addressed, by the first eight hexadecimal digits of its public key; more while they are not unique. Every peer may also be addressed by its whole public key in base64. `set peer` with --rename names it. Names stay with their public keys when wg(8) replaces the configuration.",
	"No secret is printed unless it is asked for. A key file that others may read is used, with a warning.",
	"With --json the output is one object. Of the interface: interface, up, mtu, fault (a string, or null), public_key (or null), private_key (with show private-key only), listen_port, fwmark, aead (what encrypts its packets, as wgd(8) --version says it; or null), tunables (an object of strings), peers (an array), drops (an object: how many packets were dropped, by reason) and counters (an object: what else was noticed about packets, none of which was dropped for it, and how often). Of a peer: name (as shown), named (whether that name was given), public_key, endpoint (or null), preshared_key (only with --show-preshared-key; or null), has_preshared_key, allowed_ips (an array), latest_handshake (seconds since 1970, 0 for never), persistent_keepalive (seconds, 0 for off), rx_bytes and tx_bytes. Keys may be added in later versions; none changes its meaning.",
}

var placeholders = map[string]string{
	"INTERFACE": "The name of the interface, wg0 for example.",
	"NAME":      "The name of a peer: up to 63 letters, digits and ._@-.",
	"PUBKEY":    "The peer's public key in base64, as wg-keygen --pub prints it.",
	"FILE":      "A file that holds a key in base64.",
	"PORT":      "A UDP port, 0 to 65535.",
	"MARK":      "A number of 32 bits, or off.",
	nameOrValue: tunables(),
}

// tunables says which names sysctl takes, and their values.
func tunables() string {
	var list []string
	for _, name := range conf.TunableNames() {
		values, _ := conf.TunableValues(name) // the name is one
		list = append(list, name+" ("+values+")")
	}
	last := len(list) - 1
	return "One of " + strings.Join(list[:last], ", ") + " and " + list[last] + "; net.wg stands for all."
}

var files = []cli.Entry{
	{Term: "/var/run/wireguard/INTERFACE.sock", Text: "The control socket of the interface's daemon."},
	{Term: "/etc/wg/", Text: "The customary place of key files."},
}

var examples = []cli.Example{
	{Text: "Listen on port 1234 and let B use two addresses:", Lines: []string{
		"wgconfig wg0 set private-key /etc/wg/wg0",
		"wgconfig wg0 set listen-port 1234",
		"wgconfig wg0 add peer B X7EGm3T3IfodBcyilkaC89j0SH3XD6+/pwvp7Dgp5SU= --allowed-ips=10.2.0.42/32,fd00:2::42/128",
	}},
	{Text: "Name a peer that wg(8) added:", Lines: []string{
		"wgconfig wg0 set peer 5fb1069b --rename=B",
	}},
	{Text: "Rekey every ten seconds:", Lines: []string{
		"wgconfig wg0 sysctl -w net.wg.rekey_after_time=10",
	}},
}

var completions = map[string]func(before []string) []string{
	"INTERFACE": func([]string) []string {
		names, _ := control.Names()
		return names
	},
	"NAME":      completePeer,
	"FILE":      func([]string) []string { return []string{cli.FilesHere} },
	nameOrValue: func([]string) []string { return conf.TunableNames() },
}

// completePeer offers the peers of the interface, except where a new one is
// to be named.
func completePeer(before []string) []string {
	if len(before) < 2 || before[1] == "add" {
		return nil
	}
	status, err := statusOf(before[0])
	if err != nil {
		return nil
	}
	return show.Names(status.Peers)
}
