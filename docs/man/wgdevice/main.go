// Wgdevice prints the manual page wg(4), with the list of tunables in package conf.
package main

import (
	"os"

	"wgd/conf"
	"wgd/internal/cli"
)

func main() {
	if _, err := os.Stdout.Write(cli.ManFilePage(page())); err != nil {
		os.Exit(1)
	}
}

func page() *cli.FilePage {
	return &cli.FilePage{
		Name:     "wg",
		Section:  "4",
		Summary:  "encrypted tunnel interface",
		Source:   "docs/man/wgdevice and the table in conf",
		Synopsis: "wgd wg0",
		Description: []string{
			"A wg interface is one end of encrypted tunnels over UDP. It has a private key, usually a UDP port, and peers. What is sent through the interface goes to the " +
				"peer whose allowed IPs contain the destination. The tunnel speaks the protocol of WireGuard, so the peer may be any implementation of it.",
			"On this system the interface is a TUN interface, and the daemon wgd(8) encrypts its packets. " +
				"ip(8) or wg-ifconfig(8) sets its addresses, and wgconfig(8) or wg(8) its keys and peers. wgd up does all of that from a file: see wgd.conf(5). " +
				"An interface of wgd exists as long as its daemon runs.",
			"The terms and the commands are those of NetBSD, where wg(4) is a part of the kernel.",
		},
		Chapters: []cli.Chapter{
			{Title: "Peers", Text: []string{"A peer has:"}, Entries: []cli.Entry{
				{Term: "a public key", Text: "Which identifies the peer. No two peers of an interface have the same."},
				{Term: "allowed IPs", Text: "Address ranges inside the tunnel. They are a routing table: a packet goes to the peer with the longest prefix that contains its destination. " +
					"They are also a filter: a packet that arrives from a peer is dropped unless the peer's allowed IPs contain its source. An interface has each range once; given to another peer, it moves."},
				{Term: "an endpoint", Text: "The address and UDP port outside the tunnel. It is optional: one end needs it, to send the first packet. " +
					"It then follows the peer: whenever an authenticated packet arrives from another address, that becomes the endpoint. So a peer may roam, and may be behind a NAT."},
				{Term: "a preshared key", Text: "An optional secret of 32 bytes, the same at both ends, that is mixed into the keys of every session."},
				{Term: "a persistent keepalive", Text: "An optional time in seconds, off by default. If nothing is sent or received for that time, an empty packet is sent. " +
					"A peer behind a NAT or firewall needs it if it is to be reached at any time; 25 seconds suit most of them."},
			}},
			{Title: "Handshakes", Text: []string{
				"There are no connections to open. The first packet for a peer starts a handshake, and waits for it. The handshake makes a session, with keys of its own. " +
					"While there is traffic, a new session replaces it every two minutes. No session is used for more than 180 seconds, and after 540 its keys are erased.",
				"An interface does not answer packets that it cannot authenticate. A peer whose public key it does not have sees silence.",
			}},
			{Title: "Sysctls", Text: []string{
				"wgconfig(8) sysctl shows and sets these parameters of an interface. Except for the last one, they are for tests and debugging; peers expect the defaults.",
			}, Entries: sysctls()},
			{Title: "Limits", Text: []string{
				"The MTU is 1420 unless it is set: over an outer path of 1500 bytes this leaves room for the outer header of IPv6. The largest is 65535.",
				"The tunnel carries IPv4 and IPv6, over IPv4 and IPv6, and no other protocols: no Ethernet frames, no ARP, no multicast routing. " +
					"It hides what packets contain, but not that there is a tunnel, nor how much is sent and when.",
				"The clock must not be years ahead and then go back: peers refuse a handshake whose timestamp is not later than the last one. " +
					"For small steps back, wgd keeps its last timestamp, also over restarts.",
			}},
		},
		Files: []cli.Entry{
			{Term: "/dev/net/tun", Text: "where the interface comes from"},
			{Term: "/var/run/wireguard/NAME.sock", Text: "the control socket of the interface NAME"},
			{Term: "/etc/wireguard/NAME.conf", Text: "its configuration file; see wgd.conf(5)"},
			{Term: "/etc/wg/NAME", Text: "by convention, its private key"},
		},
		Examples: examples,
		SeeAlso:  []string{"ip(8)", "wg(8)", "wg-ifconfig(8)", "wg-keygen(8)", "wgconfig(8)", "wgd(8)", "wgd.conf(5)"},
	}
}

// meanings says what each tunable is.
var meanings = map[string]string{
	"rekey_after_messages": "The number of packets in a session after which a new one is made.",
	"rekey_after_time":     "The age in seconds of a session at which the end that began it makes a new one, if it sends something.",
	"rekey_timeout":        "How many seconds a handshake waits for the answer before it is sent again.",
	"rekey_attempt_time":   "After how many seconds without an answer a handshake is given up, until there is something to send again.",
	"keepalive_timeout":    "How many seconds after receiving data an empty packet is sent, if nothing else is.",
	"force_underload":      "1 makes the interface demand a cookie in every handshake, as it does under load.",
	"debug":                "1 makes the daemon log handshakes.",
	"path_mtu_probes":      "0 stops the search for the MTU of the paths to peers by probes.",
}

func sysctls() (entries []cli.Entry) {
	defaults := conf.DefaultTunables()
	for _, name := range conf.TunableNames() {
		value, _ := defaults.Get(name)
		entries = append(entries, cli.Entry{
			Term: name + " = " + value,
			Text: meanings[name[len(conf.TunablePrefix):]],
		})
	}
	return entries
}

var examples = []cli.Example{
	{Text: "The host hub has the address 203.0.113.7, and listens on port 51820. The host laptop may be anywhere. Inside the tunnel, hub is 10.66.0.1 and laptop is 10.66.0.2. " +
		"On each of the two, make a key pair, and tell the other its public key:", Lines: keys},
	{Text: "On hub, where LAPTOP is the public key of laptop:", Lines: hub},
	{Text: "On laptop, where HUB is the public key of hub:", Lines: laptop},
	{Text: "On laptop, try it, and look at the state of the tunnel:", Lines: []string{
		"ping -c 1 10.66.0.1",
		"wgconfig wg0 show peer hub",
	}},
}

var keys = []string{
	"mkdir -p /etc/wg",
	"(umask 077; wg-keygen > /etc/wg/wg0)",
	"wg-keygen --pub < /etc/wg/wg0",
}

var hub = []string{
	"wg-ifconfig wg0 create inet 10.66.0.1/24",
	"wgconfig wg0 set private-key /etc/wg/wg0",
	"wgconfig wg0 set listen-port 51820",
	"wgconfig wg0 add peer laptop LAPTOP --allowed-ips=10.66.0.2/32",
	"wg-ifconfig wg0 up",
}

var laptop = []string{
	"wg-ifconfig wg0 create inet 10.66.0.2/24",
	"wgconfig wg0 set private-key /etc/wg/wg0",
	"wgconfig wg0 add peer hub HUB --allowed-ips=10.66.0.1/32 --endpoint=203.0.113.7:51820",
	"wg-ifconfig wg0 up",
}
