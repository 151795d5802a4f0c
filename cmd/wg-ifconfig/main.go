// Wg-ifconfig creates wg interfaces, assigns addresses to them, and shows them, as
// ifconfig(8) of NetBSD does. See wg-ifconfig(8).
package main

import (
	"wgd/internal/cli"
	"wgd/internal/control"
)

func main() { cli.Main(command()) }

// The settings, each the syntax of a form.
const (
	syntaxCreate  = "INTERFACE create"
	syntaxAddress = "INTERFACE inet|inet6 ADDRESS[/LENGTH] [prefixlen LENGTH] [netmask MASK] [alias|-alias|delete]"
	syntaxVerb    = "INTERFACE inet|inet6 alias|-alias|delete ADDRESS[/LENGTH]"
	syntaxMTU     = "INTERFACE mtu BYTES"
	syntaxUpDown  = "INTERFACE up|down"
	syntaxDestroy = "INTERFACE destroy"
)

var optJSON = cli.Option{Long: "json", Text: "Print JSON instead of text."}

func command() *cli.Command {
	return &cli.Command{
		Name:        "wg-ifconfig",
		Summary:     "create, configure and show wg interfaces",
		Description: description,
		Forms:       forms(),
		Steps:       change,
		Placeholder: placeholders,
		Files:       files,
		Examples:    examples,
		SeeAlso:     []string{"ip(8)", "wg-keygen(8)", "wgconfig(8)", "wgd(8)", "wg(4)"},
		Complete: map[string]func([]string) []string{
			"INTERFACE": func([]string) []string {
				names, _ := control.Names()
				return names
			},
		},
	}
}

func forms() []cli.Form {
	return []cli.Form{
		{Syntax: "[INTERFACE]", Options: []cli.Option{optJSON}, Run: show,
			Example: "wg-ifconfig wg0",
			Summary: "show the interface, or all wg interfaces"},
		{Syntax: "-a", Options: []cli.Option{optJSON}, Run: show, Hidden: true},
		{Syntax: "-l", Run: list,
			Example: "wg-ifconfig -l",
			Summary: "list the names of the wg interfaces"},
		{Syntax: syntaxCreate, Step: true,
			Example: "wg-ifconfig wg0 create",
			Summary: "create the interface",
			Text: []string{"This starts its daemon, wgd(8), in the background: the one beside wg-ifconfig, or else the one in PATH. " +
				"The new interface is down and has no addresses, keys or peers."}},
		{Syntax: syntaxAddress, Step: true,
			Example: "wg-ifconfig wg0 inet 10.2.0.1/24",
			Summary: "add an address to the interface, or with -alias or delete, remove it",
			Text: []string{"The word alias may be left out. " +
				"The length of an IPv6 address is 64 if it is not given. To change the length of an address, remove the address first. " +
				"To remove an address, its length may be left out; other addresses of its network stay. " +
				"The interface has no link-local address unless one is added here."}},
		{Syntax: syntaxVerb, Step: true, Hidden: true},
		{Syntax: syntaxMTU, Step: true,
			Example: "wg-ifconfig wg0 mtu 1420",
			Summary: "set the size of the largest packet that the interface accepts",
			Text:    []string{"The initial MTU is 1420. IPv6 needs 1280 or more: below that, the interface loses its IPv6 addresses, with a warning."}},
		{Syntax: syntaxUpDown, Step: true,
			Example: "wg-ifconfig wg0 up",
			Summary: "bring the interface up or down",
			Text: []string{"With up, the daemon opens the UDP port. wg-ifconfig waits for that, and if it fails, says why; " +
				"the interface is then up, but not running. With down, the daemon closes the port and erases the sessions."}},
		{Syntax: syntaxDestroy, Step: true,
			Example: "wg-ifconfig wg0 destroy",
			Summary: "end the daemon and remove the interface"},
	}
}

var description = []string{
	"One command may have several settings after the name of the interface, with create as the first and destroy as the last. " +
		"All settings are checked before the first one is applied. If the kernel refuses one, those before it are undone: a command applies all of its settings or none. " +
		"An interface that is up but does not work stays up.",
	"A wg interface is a TUN interface whose daemon has a control socket for it; wg-ifconfig shows and changes no other interfaces. " +
		"The addresses, the MTU and whether the interface is up are kept by the kernel: ip(8) shows and changes them as well.",
	"The display has the flags, the status, and one line for each address. The status is inactive if the interface is down, " +
		"or is up but does not work; otherwise it is active. If it does not work, a line with the reason is shown to users who may use the control socket. " +
		"If ip(8) has given an address a peer address, that follows after an arrow.",
	"The flags shown are UP, RUNNING and MULTICAST. A new interface has MULTICAST: name services of the host then send " +
		"their multicast queries into the tunnel, if a peer has all addresses as allowed IPs, and wake it when it is idle. " +
		"`ip link set wg0 multicast off` prevents that.",
	"With --json the output is an object, or without INTERFACE an array of objects. An object has the keys " +
		"name, up, running, multicast, mtu, fault (a string or null) and addresses (an array of strings); " +
		"and, if there are addresses with a peer address, point_to_point (an array of objects with address and peer).",
}

var placeholders = map[string]string{
	"INTERFACE":        "The name of the interface, up to 15 bytes: wg0 for example.",
	"ADDRESS[/LENGTH]": "An address and the prefix length of its network: 10.2.0.1/24 or fd00:2::1/64.",
	"LENGTH":           "The prefix length.",
	"MASK":             "The prefix length as an IPv4 netmask: 255.255.255.0 or 0xffffff00.",
	"BYTES":            "A number from 68 to 65535.",
}

var files = []cli.Entry{
	{Term: "/var/run/wireguard/INTERFACE.sock", Text: "The control socket of the daemon."},
}

var examples = []cli.Example{
	{Text: "Create an interface, and bring it up:", Lines: []string{
		"wg-ifconfig wg0 create inet 10.2.0.1/24 inet6 fd00:2::1/64",
		"wgconfig wg0 set private-key /etc/wg/wg0",
		"wgconfig wg0 set listen-port 1234",
		"wg-ifconfig wg0 up",
	}},
	{Text: "Show it, and remove it:", Lines: []string{
		"wg-ifconfig wg0",
		"wg-ifconfig wg0 destroy",
	}},
}
