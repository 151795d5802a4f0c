// Wgd is the interface itself: the daemon behind wg0. See wgd(8).
package main

import (
	"wgd/internal/aead"
	"wgd/internal/cli"
)

func main() { cli.Main(command()) }

func command() *cli.Command {
	return &cli.Command{
		Name:    "wgd",
		Summary: "a WireGuard-compatible tunnel interface in user space",
		Description: []string{
			"wgd makes the network interface NAME and carries its packets, authenticated and encrypted, to its peers over UDP. " +
				"It is compatible with every WireGuard implementation.",
			"The interface begins without keys, addresses and peers, and down. Keys and peers are given with wgconfig(8) or wg(8), " +
				"addresses and state with wg-ifconfig(8) or ip(8). wg-quick(8) does all of it when " +
				"WG_QUICK_USERSPACE_IMPLEMENTATION is wgd.",
			"SIGTERM and SIGINT end it in order: the control socket is removed, the keys are erased, the interface goes. " +
				"When the interface is deleted, with ip(8) or wg-ifconfig(8), it ends likewise, with a message.",
		},
		Forms: []cli.Form{
			{
				Syntax:  "demo",
				Summary: "show a tunnel between two peers in this process; needs no root",
				Text: []string{"Two complete peers, each with a TCP/IP stack of its own, shake hands and talk over UDP on the loopback " +
					"interface: it shows ping times, the throughput of a TCP stream, and both ends' status as wgconfig(8) shows it."},
				Run: runDemo,
			},
			{
				Syntax:  "NAME",
				Summary: "start the interface NAME",
				Options: []cli.Option{{Long: "foreground", Short: 'f', Text: "stay in the foreground, with messages on standard error"}},
				Text: []string{"Without -f it returns when the interface and its control socket are there. " +
					"After -- every word is a name: wgd -- demo."},
				Run: runInterface,
			},
		},
		Placeholder: map[string]string{"NAME": "the name of the interface, up to 15 bytes: wg0 for example"},
		Files: []cli.Entry{
			{Term: "/dev/net/tun", Text: "where the interface comes from"},
			{Term: "/var/run/wireguard/NAME.sock", Text: "the control socket, with wireguard-tools' cross-platform protocol"},
			{Term: "/var/lib/wgd/", Text: "handshake timestamps, kept over restarts; without root $XDG_STATE_HOME/wgd"},
		},
		Environment: []cli.Entry{
			{Term: "LOG_LEVEL", Text: "silent, error (the default), or verbose (also debug); any other word counts as error. Set, it keeps standard output and error open in the background"},
			{Term: "WG_PROCESS_FOREGROUND", Text: "1 is the same as -f"},
			{Term: "WG_TUN_FD", Text: "the descriptor of an existing TUN interface to use"},
			{Term: "WG_UAPI_FD", Text: "the descriptor of a listening unix socket to use as control socket"},
		},
		Examples: []cli.Example{
			{Text: "See a tunnel work, without root:", Lines: []string{"wgd demo"}},
			{Text: "An interface by hand:", Lines: []string{"wgd wg0", "wgconfig wg0 set private-key /etc/wg/wg0", "wg-ifconfig wg0 inet 10.2.0.1/24 up"}},
			{Text: "An interface by wg-quick(8):", Lines: []string{"sudo WG_QUICK_USERSPACE_IMPLEMENTATION=wgd wg-quick up wg0"}},
		},
		Build:   []string{"AEAD: " + aead.Kernel()},
		SeeAlso: []string{"wgconfig(8)", "wg-ifconfig(8)", "wg-keygen(8)", "wg(8)", "wg-quick(8)"},
	}
}
