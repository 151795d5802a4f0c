package main

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"

	"wgd/cmd/wgd-peers/store"
	"wgd/internal/cli"
	"wgd/internal/quote"
	"wgd/internal/resolve"
	"wgd/internal/sys/file"
	"wgd/key"
)

var (
	optPublicKey    = cli.Option{Long: "public-key", Value: "KEY", Text: "The public key, as wg-keygen --pub prints it."}
	optAllowedIPs   = cli.Option{Long: "allowed-ips", Value: "IP/CIDR[,IP/CIDR]...", Text: "All addresses that may be used inside the tunnel."}
	optEndpoint     = cli.Option{Long: "endpoint", Value: "HOST:PORT", Text: "An address, an [IPv6 address] or the name of a host, and a UDP port."}
	optPresharedKey = cli.Option{Long: "preshared-key", Value: "KEYFILE", Text: "Use the preshared key in the file, as wg-keygen --psk prints it; /dev/null means none."}
	optKeepalive    = cli.Option{Long: "persistent-keepalive", Value: "SECONDS", Text: "Send a keepalive when nothing was sent or received for this time (1 to 65535); off or 0 for never."}
)

// peerOptions applies the options of a call to a peer.
func peerOptions(c *cli.Call, p *store.Peer) error {
	if path, given := c.Value(optPresharedKey.Long); given {
		preshared, err := readPresharedKey(c, path)
		if err != nil {
			return err
		}
		p.PresharedKey = preshared
	}
	if text, given := c.Value(optAllowedIPs.Long); given {
		prefixes, err := parsePrefixes("allowed-ips", text)
		if err != nil {
			return err
		}
		p.AllowedIPs = prefixes
	}
	if err := keepaliveOption(c, &p.PersistentKeepalive); err != nil {
		return err
	}
	return endpointOption(c, &p.Endpoint)
}

// keepaliveOption sets the keepalive if the option is given.
func keepaliveOption(c *cli.Call, seconds *uint16) error {
	text, given := c.Value(optKeepalive.Long)
	if !given {
		return nil
	}
	if text == "off" {
		text = "0"
	}
	n, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		return fmt.Errorf("persistent-keepalive %s: give 1 to 65535 seconds, or off", quote.Text(text))
	}
	*seconds = uint16(n)
	return nil
}

// endpointOption sets the endpoint if the option is given. Empty, it removes it.
func endpointOption(c *cli.Call, endpoint *string) error {
	text, given := c.Value(optEndpoint.Long)
	if given && text != "" {
		if _, err := resolve.Parse(text); err != nil {
			return err
		}
	}
	if given {
		*endpoint = text
	}
	return nil
}

// parsePrefixes parses prefixes separated by commas. They keep the bits of the host.
func parsePrefixes(what, text string) (list []netip.Prefix, err error) {
	if text == "" {
		return nil, nil
	}
	for item := range strings.SplitSeq(text, ",") {
		p, err := netip.ParsePrefix(strings.TrimSpace(item))
		if err != nil {
			return nil, fmt.Errorf("%s %s: write IP/CIDR, with commas between several", what, quote.Text(item))
		}
		list = append(list, p)
	}
	return list, nil
}

// once returns an error if two of the prefixes are the same.
func once(what string, list []netip.Prefix) error {
	for i, p := range list {
		if slices.Contains(list[:i], p) {
			return fmt.Errorf("%s: %s is there twice: give each once", what, p)
		}
	}
	return nil
}

// readPresharedKey reads a key file. /dev/null means no key.
func readPresharedKey(c *cli.Call, path string) (key.Preshared, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return key.Preshared{}, fmt.Errorf("%s: %w: correct the path, or its permissions", quote.Path(path), withoutPath(err))
	}
	defer clear(text)
	warnIfReadable(c, path, "this key")
	if len(strings.TrimSpace(string(text))) == 0 && path != os.DevNull {
		return key.Preshared{}, fmt.Errorf("%s: the file is empty: write a preshared key into it with wg-keygen --psk, or give /dev/null for none", quote.Path(path))
	}
	if path == os.DevNull {
		return key.Preshared{}, nil
	}
	preshared, err := key.ParsePreshared(string(text))
	if err != nil {
		return key.Preshared{}, fmt.Errorf("%s: %w", quote.Path(path), err)
	}
	return preshared, nil
}

// withoutPath removes the name of the file from an error.
func withoutPath(err error) error {
	var e *os.PathError
	if errors.As(err, &e) {
		return e.Err
	}
	return err
}

// warnIfExposed prints a warning if others may read what is written to standard output.
func warnIfExposed(c *cli.Call, what string) {
	f, ok := c.Stdout.(*os.File)
	if !ok {
		return
	}
	if info, err := f.Stat(); err == nil && file.ReadableByOthers(info) {
		c.Warnf("standard output has mode %04o: others may read %s: make it private with chmod 600", info.Mode().Perm(), what)
	}
}
