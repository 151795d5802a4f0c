// Wgd is the interface itself: the daemon behind wg0. See wgd(8).
package main

import (
	"wgd/internal/aead"
	"wgd/internal/cli"
	"wgd/internal/netsetup"
	"wgd/internal/x25519"
)

func main() { cli.Main(command()) }

func command() *cli.Command {
	return &cli.Command{
		Name:    "wgd",
		Summary: "a WireGuard-compatible tunnel interface in user space",
		Description: []string{
			"wgd creates the network interface NAME and carries its packets to its peers over UDP, authenticated and encrypted. " +
				"It is compatible with every WireGuard implementation.",
			"A new interface is down and has no keys, peers or addresses. wgconfig(8) or wg(8) sets keys and peers; " +
				"wg-ifconfig(8) or ip(8) sets addresses and brings the interface up. wgd up does all of that from a configuration file; so does " +
				"wg-quick(8), if WG_QUICK_USERSPACE_IMPLEMENTATION is wgd.",
			"On SIGTERM and SIGINT the daemon ends cleanly: it removes the control socket and the interface, and erases the keys. " +
				"It ends in the same way, with a message, if ip(8) or wg-ifconfig(8) deletes the interface.",
		},
		Forms: forms(),
		Placeholder: map[string]string{
			"NAME": "the name of the interface, up to 15 bytes: wg0 for example",
			"CONF": "a configuration file, whose name is that of the interface and .conf; or the name of the interface, for /etc/wireguard/NAME.conf. " +
				"A word with a slash, or that ends with .conf, is a file",
			"FILE": "a configuration file of another program",
			"PEER": "the name of a peer, or the digits that wgconfig(8) shows if it has none",
		},
		Complete: map[string]func(before []string) []string{
			"CONF":  completeConf,
			"FILE":  func([]string) []string { return []string{cli.FilesHere} },
			"DIR":   func([]string) []string { return []string{cli.FilesHere} },
			"NAME":  completeRunning,
			"PEER":  completePeer,
			"GROUP": completeGroup,
		},
		Files: []cli.Entry{
			{Term: "/dev/net/tun", Text: "where the interface comes from"},
			{Term: "/var/run/wireguard/NAME.sock", Text: "the control socket, which speaks the cross-platform protocol of wireguard-tools"},
			{Term: "/etc/wireguard/NAME.conf", Text: "the configuration file of an interface"},
			{Term: netsetup.Dir + "/NAME.json", Text: "what wgd up and wgd reload did to the system, for wgd down"},
			{Term: "$XDG_RUNTIME_DIR/wireguard, $XDG_RUNTIME_DIR/wgd", Text: "the folders of the control socket and of the record, for a user who cannot write to /run, such as the root of a user namespace"},
			{Term: "/var/lib/wgd/", Text: "handshake timestamps, which survive a restart; without root, $XDG_STATE_HOME/wgd"},
		},
		Environment: environment(),
		Examples: []cli.Example{
			{Text: "Try a tunnel, without root:", Lines: []string{"wgd demo"}},
			{Text: "Start and configure an interface:", Lines: []string{"wgd wg0", "wgconfig wg0 set private-key /etc/wg/wg0", "wg-ifconfig wg0 inet 10.2.0.1/24 up"}},
			{Text: "Bring up the interface of /etc/wireguard/wg0.conf, and take it down:", Lines: []string{"wgd up wg0", "wgd down wg0"}},
			{Text: "After an edit of the file, show what would change, and change it:", Lines: []string{"wgd reload --dry-run wg0", "wgd reload wg0"}},
			{Text: "Add a peer, and keep it in the file:", Lines: []string{"wgconfig wg0 add peer B KEY --allowed-ips=10.2.0.42/32", "wgd save wg0"}},
			{Text: "See which peers work, and what each has transferred:", Lines: []string{"wgd status"}},
			{Text: "Watch the traffic of all peers:", Lines: []string{"wgd top"}},
			{Text: "See all interfaces and peers in a browser:", Lines: []string{"wgd web"}},
			{Text: "Find out why a tunnel does not work:", Lines: []string{"wgd explain wg0"}},
			{Text: "See what passes through a tunnel, as packets:", Lines: []string{"wgd capture --inner wg0 | tshark -r -"}},
			{Text: "Report sessions and changes as they happen:", Lines: []string{"wgd watch wg0"}},
			{Text: "Tell who was connected in the last day:", Lines: []string{"wgd watch --log /var/log/wgd.events &", "wgd history wg0 --log /var/log/wgd.events --since 24h"}},
			{Text: "Run that interface as a service does, until SIGTERM:", Lines: []string{"wgd up -f wg0"}},
			{Text: "Check /etc/wireguard/wg0.conf:", Lines: []string{"wgd check wg0"}},
			{Text: "Take over a connection of NetworkManager:", Lines: []string{"wgd import -o /etc/wireguard /etc/NetworkManager/system-connections/wg0.nmconnection"}},
			{Text: "Let wg-quick(8) do it:", Lines: []string{"sudo WG_QUICK_USERSPACE_IMPLEMENTATION=wgd wg-quick up wg0"}},
		},
		Build:   func() []string { return []string{"AEAD: " + aead.Kernel(), "X25519: " + x25519.Kernel()} },
		SeeAlso: []string{"wgd.conf(5)", "wgconfig(8)", "wg-ifconfig(8)", "wg-keygen(8)", "wg(4)", "wg(8)", "wg-quick(8)"},
	}
}

func environment() []cli.Entry {
	return []cli.Entry{
		{Term: "LOG_LEVEL", Text: "silent, error (the default), or verbose (or debug); any other word counts as error. If it is set, standard output and standard error stay open in the background"},
		{Term: "WG_PROCESS_FOREGROUND", Text: "1 is the same as -f"},
		{Term: "WG_TUN_FD", Text: "the descriptor of an existing TUN interface to use"},
		{Term: "CREDENTIALS_DIRECTORY", Text: "where the credentials of a systemd service are, which a configuration file may name"},
		{Term: "NOTIFY_SOCKET", Text: "the socket on which wgd up -f tells a service manager its state, as sd_notify(3) describes; a path, or @ and the name of an abstract socket"},
		{Term: "NO_COLOR", Text: "if it is set, wgd demo prints no bold headings on a terminal, and wgd status and wgd top no colours"},
		{Term: "LC_ALL, LC_CTYPE, LANG", Text: "the first of them that is set says whether the terminal shows UTF-8; if not, wgd top draws with ASCII characters"},
		{Term: "WG_UAPI_FD", Text: "the descriptor of a listening unix socket to use as the control socket"},
	}
}

func forms() []cli.Form {
	return []cli.Form{
		{
			Syntax:  "demo",
			Example: "wgd demo",
			Summary: "show a tunnel between two peers in this process; needs no root",
			Text: []string{"Two complete peers, each with a TCP/IP stack of its own, make a handshake and exchange packets over UDP on the loopback " +
				"interface. The demo shows ping times, web pages that each reads from the other, the throughput of a TCP stream, and the status of both peers as wgconfig(8) shows it."},
			Run: runDemo,
		},
		upForm,
		downForm,
		reloadForm,
		saveForm,
		checkForm,
		explainForm,
		captureForm,
		statusForm,
		topForm,
		metricsForm,
		watchForm,
		historyForm,
		webForm,
		proxyForm,
		{
			Syntax:  "import FILE...",
			Example: "wgd import -o /etc/wireguard provider.zip",
			Summary: "make a configuration file out of those of other programs",
			Options: []cli.Option{
				{Long: "output", Short: 'o', Value: "DIR", Text: "write the files to this folder, as NAME.conf, instead of to standard output"},
				{Long: "force", Text: "replace files that exist"},
				{Long: "json", Text: "print the result as JSON"},
			},
			Text: []string{
				"A FILE is a keyfile of NetworkManager (*.nmconnection), a .netdev or a .network of systemd-networkd (import the two together), a file of wg-quick(8) " +
					"or of WireGuard on another system, or a zip file that holds such files. Its content says what it is.",
				"Standard error says, a line each, what was not carried over and why, and as a warning what to know about the rest. " +
					"Nothing is left out without a message, except what has no meaning for a tunnel: a UUID, for example. " +
					"The exit status is 1 if a FILE could not be imported at all. Nothing is started, and no FILE is changed.",
				"The files that -o writes can be read by their owner only. A file that exists stays, and then none is written, unless --force is given.",
				"With --json, no file is printed, but an object with the fields `tunnels`, a list of objects with `interface`, `source`, `file` (empty without -o) and `peers` (their number); and `notes`, " +
					"a list of objects with `source`, `line` (0: the file as a whole), `key`, `kind` (`lost`, `changed`, or `refused` if it is about a whole file) and `text`.",
			},
			Run: runImport,
		},
		{
			Syntax:  "NAME",
			Example: "wgd wg0",
			Summary: "start the interface NAME",
			Options: []cli.Option{optForeground, optReadGroup},
			Text: []string{"Without -f, the command returns when the interface and its control socket exist. " +
				"A word after -- is always a name: wgd -- demo."},
			Run: runInterface,
		},
	}
}
