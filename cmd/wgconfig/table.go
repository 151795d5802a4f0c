package main

import (
	"strings"

	"wgd/conf"
	"wgd/internal/cli"
	"wgd/internal/cli/show"
	"wgd/internal/control"
)

// The options, each with the same meaning in all forms.
var (
	optJSON         = cli.Option{Long: "json", Text: "Print JSON instead of text."}
	optShowPSK      = cli.Option{Long: "show-preshared-key", Text: "Print the peer's preshared key as well."}
	optPresharedKey = cli.Option{Long: "preshared-key", Value: "FILE", Text: "Use the preshared key in the file, as wg-keygen --psk prints it; /dev/null means none."}
	optEndpoint     = cli.Option{Long: "endpoint", Value: "HOST:PORT", Text: "The peer's address, [IPv6 address] or host name, and its UDP port. The daemon looks up a name again when its TTL has passed, when the peer is silent, and when the network changes."}
	optAllowedIPs   = cli.Option{Long: "allowed-ips", Value: "IP/CIDR[,IP/CIDR]...", Text: "All addresses that the peer may use inside the tunnel."}
	optKeepalive    = cli.Option{Long: "persistent-keepalive", Value: "SECONDS", Text: "Send a keepalive when nothing was sent or received for this time (1 to 65535); off or 0 for never."}
	optRename       = cli.Option{Long: "rename", Value: "NEW", Text: "Give the peer another name."}
	optWrite        = cli.Option{Short: 'w', Text: "Set each NAME that has a VALUE, and print the old and the new value."}
)

// nameOrValue is the placeholder in the form sysctl.
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
		SeeAlso:     []string{"wgd(8)", "wg-ifconfig(8)", "wg-keygen(8)", "wg(4)", "wg(8)"},
		Complete:    completions,
	}
}

func forms() []cli.Form {
	peerOptions := []cli.Option{optPresharedKey, optEndpoint, optAllowedIPs, optKeepalive}
	return []cli.Form{
		{Syntax: "INTERFACE [show all]", Options: []cli.Option{optJSON}, Run: showAll,
			Example: "wgconfig wg0",
			Summary: "show the interface and its peers, without secrets"},
		{Syntax: "INTERFACE show", Options: []cli.Option{optJSON}, Run: showAll, Hidden: true},
		{Syntax: "INTERFACE show peer NAME", Options: []cli.Option{optShowPSK, optJSON}, Run: showPeer,
			Example: "wgconfig wg0 show peer B",
			Summary: "show one peer",
			Text:    []string{"If something does not work, the lines state, cause and remedy say why, from what was seen, and what to do. They are those of wgd explain, but for what ICMP says, for which wgd explain sends a datagram."}},
		{Syntax: "INTERFACE show private-key", Options: []cli.Option{optJSON}, Run: showPrivateKey,
			Example: "wgconfig wg0 show private-key",
			Summary: "print the private key"},
		{Syntax: "INTERFACE set private-key FILE", Run: setPrivateKey,
			Example: "wgconfig wg0 set private-key /etc/wg/wg0",
			Summary: "use the private key in a file",
			Text:    []string{"The file holds the key in base64, as wg-keygen prints it. /dev/null removes the key. Setting the key that the interface already has changes nothing."}},
		{Syntax: "INTERFACE set listen-port PORT", Run: setListenPort,
			Example: "wgconfig wg0 set listen-port 1234",
			Summary: "listen on a UDP port",
			Text:    []string{"0 lets the system choose a port that is free for IPv4 and IPv6."}},
		{Syntax: "INTERFACE set fwmark MARK", Run: setFirewallMark,
			Example: "wgconfig wg0 set fwmark 0xca6c",
			Summary: "mark every packet that the tunnel sends to the outer network",
			Text:    []string{"The mark is decimal, or hexadecimal after 0x. Policy routing and the firewall see it (SO_MARK). 0 or off means no mark."}},
		{Syntax: "INTERFACE set mss-clamp on|off", Run: setMSSClamp,
			Example: "wgconfig wg0 set mss-clamp off",
			Summary: "reduce the maximum segment size of TCP connections to what fits, or leave it",
			Text:    []string{"It is on at first. A change affects new connections."}},
		{Syntax: "INTERFACE add peer NAME PUBKEY", Options: peerOptions, Run: addPeer,
			Example: "wgconfig wg0 add peer B X7EGm3T3IfodBcyilkaC89j0SH3XD6+/pwvp7Dgp5SU= --allowed-ips=10.2.0.42/32",
			Summary: "add a peer",
			Text:    []string{"A name or a public key that the interface already has is refused. An allowed IP of another peer moves to this one."}},
		{Syntax: "INTERFACE set peer NAME", Options: append(peerOptions[:len(peerOptions):len(peerOptions)], optRename), Run: setPeer,
			Example: "wgconfig wg0 set peer B --persistent-keepalive=25",
			Summary: "change a peer",
			Text:    []string{"Only what the options name is changed. The given allowed IPs replace those that the peer has."}},
		{Syntax: "INTERFACE delete peer NAME", Run: deletePeer,
			Example: "wgconfig wg0 delete peer B",
			Summary: "delete a peer"},
		{Syntax: "INTERFACE sysctl OPTIONS [" + nameOrValue + "...]", Options: []cli.Option{optWrite}, Run: sysctl,
			Example: "wgconfig wg0 sysctl -w net.wg.rekey_after_time=10",
			Summary: "show or set the timers of the protocol, for tests and debugging",
			Text:    []string{"Without NAME, all are shown. A change takes effect at once."}},
	}
}

var description = []string{
	"wgconfig sets the private key, the port and the peers of a wg interface, and shows them. wg-ifconfig(8) creates the interface, assigns its addresses, and brings it up.",
	"If another program added a peer without a name, the first eight hexadecimal digits of its public key stand for the name, or more digits while eight are not unique. The whole public key in base64 can stand for the name of any peer. `set peer` with --rename gives a peer a name. Names stay with their public keys when wg(8) replaces the configuration.",
	"No secret is printed unless it is requested. If other users may read a key file, it is used, with a warning.",
	"With --json the output is one object. An interface has the keys interface, up, mtu, fault (a string or null), public_key (or null), private_key (with show private-key only), listen_port, fwmark, aead (the code that encrypts its packets, as wgd(8) --version prints it, or null), tunables (an object of strings), peers (an array), drops (an object with the number of dropped packets for each reason), counters (an object with what else was noticed about packets, none of which was dropped for it, and how often) and reasons (an array of objects with cause, text and remedy: why the interface does not work, or what concerns no peer). A peer has the keys name (as shown), named (whether it was given that name), public_key, endpoint (or null), endpoint_name (the endpoint as a name, HOST:PORT, or null), endpoint_failure (why the last lookup of that name failed, or null), preshared_key (only with --show-preshared-key; or null), has_preshared_key, allowed_ips (an array), latest_handshake (seconds since 1970, 0 for never), persistent_keepalive (seconds, 0 for off), rx_bytes, tx_bytes, path_mtu (of the path to the endpoint; 0 unless it is known to be smaller than that of the first link), path_mtu_source (route, icmp or probe: how that is known; or null), state (works, idle, trying, never-used or down), state_text (a sentence) and reasons (an array as that of the interface; with show peer, those of the interface that concern the peer come first). Later versions may add keys; no key changes its meaning.",
}

var placeholders = map[string]string{
	"INTERFACE": "The name of the interface, wg0 for example.",
	"NAME":      "The name of a peer: up to 63 letters, digits and ._@-.",
	"PUBKEY":    "The peer's public key in base64, as wg-keygen --pub prints it.",
	"FILE":      "A file that holds a key in base64.",
	"PORT":      "A UDP port, 0 to 65535.",
	"MARK":      "A 32-bit number, or off.",
	nameOrValue: tunables(),
}

// tunables lists the names that sysctl accepts, and their values.
func tunables() string {
	var list []string
	for _, name := range conf.TunableNames() {
		values, _ := conf.TunableValues(name) // the name is valid
		list = append(list, name+" ("+values+")")
	}
	last := len(list) - 1
	return "One of " + strings.Join(list[:last], ", ") + " and " + list[last] + "; or net.wg, which means all of them."
}

var files = []cli.Entry{
	{Term: "/var/run/wireguard/INTERFACE.sock", Text: "The control socket of the daemon."},
	{Term: "/etc/wg/", Text: "The usual place for key files."},
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

// completePeer returns the names of the interface's peers, except for add,
// which needs a new name.
func completePeer(before []string) []string {
	if len(before) < 2 || before[1] == "add" {
		return nil
	}
	status, err := control.StatusOf(before[0])
	if err != nil {
		return nil
	}
	return show.Names(status.Peers)
}
