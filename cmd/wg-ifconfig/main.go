// Wg-ifconfig makes wg interfaces, gives them addresses, and shows them, as
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
		Summary:     "make wg interfaces, give them addresses, show them",
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
			Summary: "show the interface, or all wg interfaces"},
		{Syntax: "-a", Options: []cli.Option{optJSON}, Run: show, Hidden: true},
		{Syntax: "-l", Run: list,
			Summary: "list the names of the wg interfaces"},
		{Syntax: syntaxCreate, Step: true,
			Summary: "make the interface",
			Text: []string{"Its daemon, wgd(8), is started in the background: the one beside wg-ifconfig, else the one in PATH. " +
				"The interface begins down, without addresses, keys and peers."}},
		{Syntax: syntaxAddress, Step: true,
			Summary: "add an address to the interface; with -alias or delete, remove it",
			Text: []string{"Alias says nothing more than that the address is added. " +
				"An IPv6 address without length has 64; one that is there with another length has to be removed first. " +
				"To remove an address, its length may be left out; the others of its network stay. " +
				"The interface has no link-local address unless one is added here."}},
		{Syntax: syntaxVerb, Step: true, Hidden: true},
		{Syntax: syntaxMTU, Step: true,
			Summary: "set the length of the longest packet that the interface takes",
			Text:    []string{"It begins with 1420. IPv6 needs 1280 or more: with less the interface loses its IPv6 addresses, and a warning says so."}},
		{Syntax: syntaxUpDown, Step: true,
			Summary: "let the interface work, or not",
			Text: []string{"With up its daemon opens the UDP port. wg-ifconfig waits until it has, and says why if it could not; " +
				"the interface is up then, but does not run. Down closes the port and forgets the sessions."}},
		{Syntax: syntaxDestroy, Step: true,
			Summary: "end the daemon and remove the interface"},
	}
}

var description = []string{
	"Several settings may stand in one command after the name of the interface, create first and destroy last. " +
		"All are looked at before the first is done, and what was done is undone when the kernel refuses one: the command does all of them or none. " +
		"An interface that is up and does not work stays up.",
	"A wg interface is a TUN interface whose daemon has a control socket for it; wg-ifconfig shows and changes no other. " +
		"Addresses, MTU, up and down are the kernel's own: ip(8) shows them and may change them, too.",
	"A line of the display for each address follows the flags and the status: active; or inactive, when the interface is down, " +
		"or is up and does not work. In that case a line more says why, to those who may use the control socket. " +
		"An address to which ip(8) has given a peer is shown with it, after an arrow.",
	"The flags are UP, RUNNING and MULTICAST, as they are. With MULTICAST, which a new interface has, name services of the host " +
		"send what they ask all neighbours into the tunnel, if a peer has all addresses, and wake it when it is idle. " +
		"`ip link set wg0 multicast off` ends that.",
	"With --json the output is an object, or, without INTERFACE, an array of them: " +
		"name, up, running, multicast, mtu, fault (a string, or null) and addresses (an array of strings); " +
		"and, if there are such addresses, point_to_point (an array of objects: address and peer).",
}

var placeholders = map[string]string{
	"INTERFACE":        "The name of the interface, wg0 for example: up to 15 bytes.",
	"ADDRESS[/LENGTH]": "An address and the number of bits that its network has in common: 10.2.0.1/24 or fd00:2::1/64.",
	"LENGTH":           "That number.",
	"MASK":             "The same as an IPv4 mask: 255.255.255.0 or 0xffffff00.",
	"BYTES":            "A number, 68 to 65535.",
}

var files = []cli.Entry{
	{Term: "/var/run/wireguard/INTERFACE.sock", Text: "The control socket of the interface's daemon."},
}

var examples = []cli.Example{
	{Text: "An interface from nothing:", Lines: []string{
		"wg-ifconfig wg0 create inet 10.2.0.1/24 inet6 fd00:2::1/64",
		"wgconfig wg0 set private-key /etc/wg/wg0",
		"wgconfig wg0 set listen-port 1234",
		"wg-ifconfig wg0 up",
	}},
	{Text: "Look at it, and remove it:", Lines: []string{
		"wg-ifconfig wg0",
		"wg-ifconfig wg0 destroy",
	}},
}
