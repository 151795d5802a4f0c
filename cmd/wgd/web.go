package main

import (
	"fmt"
	"net"
	"net/netip"

	"wgd/internal/cli"
	"wgd/internal/quote"
	"wgd/internal/sys/link"
	"wgd/internal/sys/process"
	"wgd/internal/web"
)

// defaultWeb is the address on which wgd web listens unless it is told another one.
const defaultWeb = "127.0.0.1:9587"

var webForm = cli.Form{
	Syntax:  "web",
	Example: "wgd web",
	Summary: "serve a page that shows all interfaces and peers live",
	Options: []cli.Option{listenOption},
	Text: []string{
		"It stays in the foreground until SIGTERM, and prints the address of the page, with a token that is new at each start: whoever has the token sees what the page shows, and can change what it changes. " +
			"The page follows the interfaces that this user can read, sorts and searches their peers, plots the rate and the age of the handshake, and says what `wgd explain` says. It shows no secret.",
		"Where this user can change an interface, peers can be added, changed and removed on the page, which shows the command that does the same. For a new peer, it can make a key pair and a file, also as a QR code. That private key is shown once, and is not kept.",
		"There is no TLS: if the address is not one of the loopback interface, it warns. From another computer, forward the port with ssh(1) instead: ssh -L 9587:127.0.0.1:9587 HOST.",
	},
	Run: runWeb,
}

// runWeb serves the page until a signal.
func runWeb(c *cli.Call) error {
	address, given := c.Value("listen")
	if !given {
		address = defaultWeb
	}
	if !validAddress(address) {
		return fmt.Errorf("--listen %s: not an address: give ADDRESS:PORT, such as %s or [::1]:9587", quote.Text(address), defaultWeb)
	}
	ctx, stop := process.UntilTerminated()
	defer stop()
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return fmt.Errorf("--listen %s: %w: choose an address of this computer and a port that is free", address, plainOp(err))
	}
	at := netip.MustParseAddrPort(listener.Addr().String())
	if !at.Addr().IsLoopback() {
		c.Warnf("--listen %s: there is no TLS: whoever sees the network's traffic sees the token and the page; listen on 127.0.0.1, and forward the port with ssh", address)
	}
	handler, token := web.New(at.Port(), hostFacts, addressesOf)
	if at.Addr().IsUnspecified() {
		loopback := netip.IPv6Loopback()
		if at.Addr().Is4() { // where there is no IPv6
			loopback = netip.AddrFrom4([4]byte{127, 0, 0, 1})
		}
		at = netip.AddrPortFrom(loopback, at.Port())
	}
	if _, err := fmt.Fprintf(c.Stdout, "http://%s/enter?token=%s\n", at, token); err != nil {
		listener.Close()
		return err
	}
	return serveHTTP(ctx, listener, handler)
}

// addressesOf returns the addresses of an interface of this host; none if it has none, or if
// they cannot be read.
func addressesOf(name string) []netip.Prefix {
	links, err := link.Open()
	if err != nil {
		return nil
	}
	defer links.Close()
	info, err := links.Get(name)
	if err != nil {
		return nil
	}
	var list []netip.Prefix
	for _, a := range info.Addresses {
		if !a.Prefix.Addr().IsLinkLocalUnicast() {
			list = append(list, a.Prefix)
		}
	}
	return list
}
