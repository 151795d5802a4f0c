package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"strings"

	"rsc.io/qr"

	"wgd/cmd/wgd-peers/peerfile"
	"wgd/cmd/wgd-peers/store"
	"wgd/conf"
	"wgd/internal/cli"
	"wgd/internal/quote"
	"wgd/key"
)

var (
	optNetwork = cli.Option{Long: "network", Value: "IP/CIDR[,IP/CIDR]...",
		Text: "Choose a free address of each of these networks. Without it and --allowed-ips: of those of the gateway."}
	optNoPresharedKey = cli.Option{Long: "no-preshared-key", Text: "Make no preshared key."}
	optOutput         = cli.Option{Long: "output", Short: 'o', Value: "FILENAME", Text: "Write the client's configuration to this file, which must not exist, instead of to standard output."}
	optQR             = cli.Option{Long: "qr", Text: "Show the client's configuration as a QR code on standard error, also if that is no terminal."}
)

var addForm = cli.Form{
	Syntax:  "add NAME",
	Example: "wgd-peers add alice",
	Summary: "add a peer, and print its configuration file",
	Options: []cli.Option{optPublicKey, optAllowedIPs, optNetwork, optEndpoint, optKeepalive, optPresharedKey, optNoPresharedKey, optOutput, optQR, optJSON},
	Text: []string{
		"Without --public-key, a key pair and a preshared key are made. The file for the client is printed, and shown as a QR code if standard error is a terminal. " +
			"It is the only place of the private key, which is not stored: if it is lost, delete the peer and add it again. " +
			"With --public-key, the client has its private key, and nothing is printed.",
		"The file needs the public key and the endpoint of the gateway: see wgd-peers gateway.",
		"The JSON object has the fields `peer`, as wgd-peers list prints it, and `file`, the text of the client's file.",
	},
	Run: runAdd,
}

func runAdd(c *cli.Call) error {
	name := c.Arg("NAME")
	if err := conf.ValidName(name); err != nil {
		return err
	}
	p := &store.Peer{Name: name}
	if err := peerOptions(c, p); err != nil {
		return fmt.Errorf("peer %s: %w", name, err)
	}
	networks, err := parsePrefixes("network", valueOf(c, optNetwork))
	if err != nil {
		return err
	}
	for i, n := range networks {
		networks[i] = n.Masked()
	}
	if err := once("network", networks); err != nil {
		return err
	}
	if c.Has(optPublicKey.Long) && (c.Has(optOutput.Long) || c.Has(optQR.Long)) {
		return fmt.Errorf("peer %s: with --public-key there is no file of the client, because only the client has its private key: leave --output and --qr out", name)
	}
	if c.Has(optPresharedKey.Long) && c.Has(optNoPresharedKey.Long) {
		return fmt.Errorf("peer %s: give --preshared-key or --no-preshared-key, not both", name)
	}
	private, err := makeKeys(c, p)
	if err != nil {
		return fmt.Errorf("peer %s: %w", name, err)
	}
	defer private.Erase()
	return withStore(c, true, func(ctx context.Context, s store.Store) error {
		g, err := s.Gateway(ctx)
		if err != nil {
			return err
		}
		if !private.IsZero() && (g.PublicKey.IsZero() || g.Endpoint == "") {
			return errors.New("the client's file needs the public key and the endpoint of the gateway: set them once, with " +
				"wgd-peers gateway --public-key=KEY --endpoint=HOST:PORT; or give the client's own key with --public-key")
		}
		if !c.Has(optNetwork.Long) && !c.Has(optAllowedIPs.Long) {
			networks = g.Networks()
		}
		if len(networks) == 0 && len(p.AllowedIPs) == 0 {
			return fmt.Errorf("peer %s: it has no address: give --allowed-ips or --network, or set the addresses of the gateway with wgd-peers gateway --addresses=IP/CIDR", name)
		}
		return add(ctx, c, s, g, p, networks, &private)
	})
}

// valueOf returns the value of an option, or "".
func valueOf(c *cli.Call, o cli.Option) string {
	value, _ := c.Value(o.Long)
	return value
}

// makeKeys sets the public key of the peer, and makes its keys if it has none.
func makeKeys(c *cli.Call, p *store.Peer) (private key.Private, err error) {
	if text, given := c.Value(optPublicKey.Long); given {
		p.PublicKey, err = key.ParsePublic(text)
		return key.Private{}, err
	}
	if private, err = key.GeneratePrivate(rand.Reader); err != nil {
		return private, err
	}
	p.PublicKey = private.Public()
	if !c.Has(optPresharedKey.Long) && !c.Has(optNoPresharedKey.Long) {
		p.PresharedKey, err = key.GeneratePreshared(rand.Reader)
	}
	return private, err
}

// add adds the peer and prints its file. If the file cannot be printed, the peer is
// removed again, because its private key is lost.
func add(ctx context.Context, c *cli.Call, s store.Store, g *store.Gateway, p *store.Peer, networks []netip.Prefix, private *key.Private) error {
	to := c.Stdout
	path, toFile := c.Value(optOutput.Long)
	if toFile && !private.IsZero() {
		f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
		if errors.Is(err, fs.ErrExist) {
			return fmt.Errorf("%s: the file exists: remove it, or choose another name", quote.Path(path))
		} else if err != nil {
			return fmt.Errorf("%s: %w: correct the path, or its permissions", quote.Path(path), withoutPath(err))
		}
		to = f
		defer f.Close()
	}
	err := s.Add(ctx, p, networks)
	if err == nil {
		if err = printClient(c, to, g, p, private); err != nil {
			err = fmt.Errorf("the client's file cannot be written, so the peer was removed again: %w", errors.Join(err, s.Delete(context.WithoutCancel(ctx), p.PublicKey)))
		}
	}
	if err != nil && to != c.Stdout {
		return errors.Join(err, os.Remove(path))
	}
	return err
}

// printClient prints the file of the client, as text or in JSON, and its QR code.
func printClient(c *cli.Call, to io.Writer, g *store.Gateway, p *store.Peer, private *key.Private) error {
	text := ""
	if !private.IsZero() {
		text = peerfile.Client(g, p, private)
		if to == c.Stdout || c.Has(optJSON.Long) {
			warnIfExposed(c, "the private key")
		}
		if to != c.Stdout || !c.Has(optJSON.Long) {
			if _, err := io.WriteString(to, text); err != nil {
				return err
			}
		}
		if c.Has(optQR.Long) || cli.Terminal(c.Stderr) && !c.Has(optJSON.Long) {
			if err := printQR(c.Stderr, text); err != nil {
				c.Warnf("no QR code: %v", err)
			}
		}
	}
	if c.Has(optJSON.Long) {
		return c.PrintJSON(struct {
			Peer peerfile.Record `json:"peer"`
			File string          `json:"file"`
		}{peerfile.RecordOf(p, false), text})
	}
	return nil
}

// quiet is the width of the light border around a QR code, in modules.
const quiet = 2

// printQR prints a QR code, two rows of modules in a line, in the colours in which it can be
// scanned from a terminal of any colour.
func printQR(w io.Writer, text string) error {
	code, err := qr.Encode(text, qr.L)
	if err != nil {
		return err
	}
	var b strings.Builder
	for y := -quiet; y < code.Size+quiet; y += 2 {
		b.WriteString("\x1b[30;107m")
		for x := -quiet; x < code.Size+quiet; x++ {
			upper, lower := code.Black(x, y), code.Black(x, y+1)
			switch {
			case upper && lower:
				b.WriteString("█")
			case upper:
				b.WriteString("▀")
			case lower:
				b.WriteString("▄")
			default:
				b.WriteString(" ")
			}
		}
		b.WriteString("\x1b[0m\n")
	}
	_, err = io.WriteString(w, b.String())
	return err
}
