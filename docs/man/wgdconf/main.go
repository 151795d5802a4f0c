// Wgdconf prints the manual page wgd.conf(5), with the lists of directives in package
// wgconf.
package main

import (
	"os"

	"wgd/internal/cli"
	"wgd/internal/wgconf"
)

func main() {
	if _, err := os.Stdout.Write(cli.ManFilePage(page())); err != nil {
		os.Exit(1)
	}
}

func page() *cli.FilePage {
	return &cli.FilePage{
		Name:     "wgd.conf",
		Section:  "5",
		Summary:  "configuration file of a wgd interface",
		Source:   "docs/man/wgdconf and the tables in internal/wgconf",
		Synopsis: wgconf.Folder + "/NAME.conf",
		Description: []string{
			"A configuration file describes one interface: its keys, its addresses and its peers. It has the format of wg-quick(8), and a file for that " +
				"program can be used unchanged, with the exceptions below. wgd(8) check reports everything that is wrong with a file.",
			"wgd(8) up does what this page says about addresses, DNS, routes and hooks, in the order of wg-quick. " +
				"DNS with a domain that begins with ~, other than ~., needs systemd-resolved; without it, wgd up prints a warning, and sets no name servers.",
			"The name of the file is that of the interface, up to 15 letters, digits and _=+.-, followed by .conf. " +
				"The file holds secrets: only its owner should be able to read it.",
		},
		Chapters: []cli.Chapter{
			{Title: "Syntax", Text: []string{
				"A file has sections, and each begins with a line [Interface] or [Peer]. All [Interface] sections are about the interface; each [Peer] is about " +
					"one peer. In a section, each line is a directive, KEY = VALUE. Keys and the names of sections are not case-sensitive; white space around keys, " +
					"values and lines is ignored.",
				"A # begins a comment, which ends with the line. In PreUp, PostUp, PreDown and PostDown, a # is a part of the command.",
				"The elements of a list are separated by commas; another line with the same key continues the list. Of any other directive that appears twice, the last one counts.",
				"Some directives of wgd are written as comments, so that wg-quick ignores them: those that are only a convenience. " +
					"If something is wrong with such a comment, wgd prints a warning and ignores it as well. The other directives of wgd are plain lines, which make wg-quick refuse the file: " +
					"without them the tunnel would carry packets that it must not carry, or would not work at all.",
			}},
			{Title: "Interface section", Entries: entries(wgconf.InterfaceDirectives())},
			{Title: "Peer section", Entries: entries(wgconf.PeerDirectives())},
			{Title: "Compatibility", Text: []string{
				"The format is that of wireguard-tools 1.0.20260223. 1.0.20210914 differs: there a # ends a command (PreUp and the others); " +
					"PreUp is run before the interface exists; of several endpoints, the one with the largest MTU determines that of the interface, rather than the smallest; " +
					"and it replaces what a hook has configured before (`wg setconf`), where 1.0.20260223 and wgd keep what the file does not name (`wg addconf`).",
				"wg(8) and wg-quick(8) accept the following, and wgd does not, because it is nearly always a mistake: a port over 65535, which they reduce modulo 65536; " +
					"IPv4 addresses with fewer than four numbers, or with leading zeros, which mean octal numbers; a netmask in place of a length; the name of a service as ListenPort; " +
					"a sign before an element of AllowedIPs; a NUL byte; the address 0.0.0.0; and a value of DNS that is neither an address nor the name of a domain.",
				"wgd accepts an Address that appears twice, at which wg-quick fails. On the command line, wg0.conf without a slash is a file; wg-quick looks for /etc/wireguard/wg0.conf.conf.",
			}},
		},
		Files: []cli.Entry{
			{Term: wgconf.Folder + "/NAME.conf", Text: "where wgd(8) looks if it is given the name of an interface"},
		},
		Examples: []cli.Example{
			{Text: "A road warrior, which sends everything through its peer, except what is for the local network:", Lines: roadWarrior},
			{Text: "A server for two peers:", Lines: server},
		},
		SeeAlso: []string{"wgd(8)", "wgconfig(8)", "wg(8)", "wg-quick(8)", "wg(4)", "systemd.exec(5)"},
	}
}

func entries(directives []wgconf.Directive) (list []cli.Entry) {
	for _, d := range directives {
		term := d.Name + " = " + d.Value
		text := d.Meaning
		if d.Comment {
			term = "# " + term
			text += " A directive of wgd; wg-quick ignores it."
		} else if d.Origin == wgconf.OurOwn {
			text += " A directive of wgd; wg-quick refuses it."
		}
		list = append(list, cli.Entry{Term: term, Text: text})
	}
	return list
}

var roadWarrior = []string{
	"[Interface]",
	"PrivateKeyFile = /etc/wg/wg0",
	"Address = 10.2.0.42/24, fd00:2::42/64",
	"DNS = 10.2.0.1",
	"",
	"[Peer]",
	"# Name = office",
	"PublicKey = 40kXwfNgtFw5PDy74YUZUBoHH054uIf7Xn31dSvuegg=",
	"AllowedIPs = 0.0.0.0/0, ::/0",
	"ExcludedIPs = 192.168.0.0/16",
	"Endpoint = vpn.example.com:51820",
	"PersistentKeepalive = 25",
}

var server = []string{
	"[Interface]",
	"PrivateKeyFile = $CREDENTIALS_DIRECTORY/wg0.key",
	"ListenPort = 51820",
	"Address = 10.2.0.1/24, fd00:2::1/64",
	"PostUp = sysctl -w net.ipv4.conf.%i.forwarding=1",
	"",
	"[Peer]",
	"# Name = laptop",
	"PublicKey = Qg7D6ghlYJi8c944Pt6WtA0erf05+YHMsYk1R30gAXQ=",
	"AllowedIPs = 10.2.0.42/32, fd00:2::42/128",
	"",
	"[Peer]",
	"# Name = phone",
	"PublicKey = X7EGm3T3IfodBcyilkaC89j0SH3XD6+/pwvp7Dgp5SU=",
	"AllowedIPs = 10.2.0.43/32, fd00:2::43/128",
}
