package wgconf

import (
	"strconv"

	"wgd/key"
)

// interfaceRows are the directives of [Interface], in the order in which a new
// file has them.
var interfaceRows = []row[Interface]{
	{name: "PrivateKey", value: "KEY",
		meaning: "The private key, in base64. Without one, the interface makes no handshake until a hook or another command gives it one.",
		decode: func(d *decoder, v value, i *Interface) {
			private, err := key.ParsePrivate(v.text)
			if err != nil {
				d.problems.errorf(v.line, "PrivateKey: %v", err)
				return
			}
			i.PrivateKey, i.PrivateKeyFile = &private, ""
		},
		encode: func(i *Interface) []string {
			if i.PrivateKey == nil || i.PrivateKeyFile != "" {
				return nil
			}
			return []string{i.PrivateKey.Base64()}
		}},
	{name: "PrivateKeyFile", value: "PATH", origin: OurOwn,
		meaning: keyFileMeaning("private"),
		decode: func(d *decoder, v value, i *Interface) {
			i.PrivateKeyFile = v.text
			d.keyFile(v, func(text string) (err error) {
				private, err := key.ParsePrivate(text)
				i.PrivateKey = &private
				return err
			})
		},
		encode: func(i *Interface) []string { return nonEmpty(i.PrivateKeyFile) }},
	{name: "ListenPort", value: "PORT",
		meaning: "The UDP port, 0 to 65535; 0, or no such line: any port that is free.",
		decode: func(d *decoder, v value, i *Interface) {
			if n, ok := number(v.text, 1<<16-1); ok {
				port := uint16(n)
				i.ListenPort = &port
				return
			}
			d.wrong(v, v.text, "give a number from 0 to 65535")
		},
		encode: func(i *Interface) []string {
			if i.ListenPort == nil {
				return nil
			}
			return decimal(uint64(*i.ListenPort))
		}},
	{name: "FwMark", value: "MARK",
		meaning: "The firewall mark of all packets that the tunnel sends: a decimal number, a hexadecimal one that begins with 0x, or `off`. Without it, a default route sets one.",
		decode:  decodeFwMark,
		encode: func(i *Interface) []string {
			switch {
			case i.FwMark == nil:
				return nil
			case *i.FwMark == 0:
				return []string{off}
			}
			return []string{"0x" + strconv.FormatUint(uint64(*i.FwMark), 16)}
		}},
	{name: "Address", value: "ADDRESS[/LENGTH],...", origin: FromWgQuick, many: true,
		meaning: "The addresses of the interface. Without a length, an address stands for itself alone (/32 or /128).",
		decode:  decodeAddress,
		encode:  func(i *Interface) []string { return prefixes(i.Network.Addresses) }, same: samePrefix},
	{name: "DNS", value: "ADDRESS|DOMAIN|~DOMAIN,...", origin: FromWgQuick, many: true,
		meaning: "Name servers to use while the interface is up, and domains to search. With domains that begin with `~`, the servers are asked " +
			"about these domains (and the search domains) only, and other names go to the servers that were there before.",
		decode: decodeDNS,
		encode: encodeDNS, same: sameDNS},
	{name: "MTU", value: "BYTES", origin: FromWgQuick,
		meaning: "The MTU of the interface, 68 to 65535; IPv6 needs 1280 or more. Without it, it is worked out from the routes to the endpoints.",
		decode: func(d *decoder, v value, i *Interface) {
			n, ok := number(v.text, maxMTU)
			if v.text != "" && (!ok || n < minMTU) {
				d.wrong(v, v.text, "give a number from %d to %d, or no such line", minMTU, maxMTU)
				return
			}
			i.Network.MTU = int(n)
		},
		encode: func(i *Interface) []string {
			if i.Network.MTU == 0 {
				return nil
			}
			return decimal(uint64(i.Network.MTU))
		}},
	{name: "Table", value: "auto|off|NUMBER", origin: FromWgQuick,
		meaning: "Where the routes to the peers' AllowedIPs go. `auto`, the default: to the main table, and a default route to a table of its own, with rules " +
			"that lead there all but the tunnel's own packets. `off`: nowhere. A number, or `main`, `default` or `local`: to that table.",
		decode: decodeTable,
		encode: func(i *Interface) []string { return nonEmpty(i.Network.Table.String()) }},
	hook("PreUp", "before the interface is configured", func(n *Network) *[]Hook { return &n.PreUp }),
	hook("PostUp", "after the interface is up and its routes are set", func(n *Network) *[]Hook { return &n.PostUp }),
	hook("PreDown", "before the interface is taken down", func(n *Network) *[]Hook { return &n.PreDown }),
	hook("PostDown", "after the interface is gone", func(n *Network) *[]Hook { return &n.PostDown }),
	{name: "SaveConfig", value: "true|false", origin: FromWgQuick,
		meaning: "`true`: when the interface goes down, what has changed about the tunnel while it was up is written to the file, as by wgd(8) save. Addresses and DNS stay as they are in the file.",
		decode: func(d *decoder, v value, i *Interface) {
			switch fold(v.text) {
			case "true":
				i.Network.SaveConfig = true
			case "false":
				i.Network.SaveConfig = false
			default:
				d.wrong(v, v.text, "write true or false")
			}
		},
		encode: func(i *Interface) []string {
			if i.Network.SaveConfig {
				return []string{"true"}
			}
			return nil
		}},
	{name: "MSSClamp", value: "on|off", origin: OurOwn, style: remark,
		meaning: "`off`: the maximum segment size of TCP connections stays as it is. Otherwise it is reduced to what the MTU carries, for all connections " +
			"through the tunnel, also forwarded ones, in both directions. A host behind this one then needs no ICMP to send packets that fit.",
		decode: func(d *decoder, v value, i *Interface) {
			switch fold(v.text) {
			case "on":
				i.Network.NoMSSClamp = false
			case off:
				i.Network.NoMSSClamp = true
			default:
				d.problems.warnf(v.line, "# MSSClamp: ignored: write on or off")
			}
		},
		encode: func(i *Interface) []string {
			if i.Network.NoMSSClamp {
				return []string{off}
			}
			return nil
		}},
}

// hook is the row of one of the four kinds of hooks.
func hook(name, when string, of func(n *Network) *[]Hook) row[Interface] {
	return row[Interface]{name: name, value: "COMMAND", origin: FromWgQuick, style: verbatim, many: true,
		meaning: "A command for the shell, " + when + ". Several lines are run in their order, and %i stands for the name of the interface. The command is the rest of the line, a # included.",
		decode: func(_ *decoder, v value, i *Interface) {
			if v.text != "" {
				hooks := of(&i.Network)
				*hooks = append(*hooks, Hook(v.text))
			}
		},
		encode: func(i *Interface) (list []string) {
			for _, h := range *of(&i.Network) {
				list = append(list, string(h))
			}
			return list
		}}
}
