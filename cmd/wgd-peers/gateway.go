package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"wgd/cmd/wgd-peers/store"
	"wgd/internal/cli"
	"wgd/internal/quote"
	"wgd/internal/wgconf"
	"wgd/key"
)

var (
	optAddresses = cli.Option{Long: "addresses", Value: "IP/CIDR[,IP/CIDR]...",
		Text: "The addresses of the gateway inside the tunnel, with the lengths of their networks. wgd-peers add chooses addresses of these networks."}
	optClientAllowedIPs = cli.Option{Long: "client-allowed-ips", Value: "IP/CIDR[,IP/CIDR]...",
		Text: "What clients send through the tunnel; 0.0.0.0/0,::/0 for everything. Without it: the networks of the addresses."}
	optDNS = cli.Option{Long: "dns", Value: "ADDRESS|DOMAIN[,...]", Text: "Name servers of clients, and domains to search."}
)

var gatewayForm = cli.Form{
	Syntax:  "gateway",
	Example: "wgd-peers gateway --endpoint=vpn.example.org:51820 --addresses=10.2.0.1/16,fd00:2::1/64",
	Summary: "show or change what clients must know about the gateway",
	Options: []cli.Option{optPublicKey, optEndpoint, optAddresses, optClientAllowedIPs, optDNS, optKeepalive, optJSON},
	Text: []string{
		"All gateways that use a store have the same private key, and so the same public key. wgd-peers add writes it, the endpoint and the other options to the files of clients. " +
			"The private key is not in the store. An empty value removes what an option has set.",
		"The JSON object has the fields `public_key`, `endpoint`, `addresses`, `allowed_ips`, `dns` and `persistent_keepalive`.",
	},
	Run: runGateway,
}

func runGateway(c *cli.Call) error {
	changes := false
	for _, o := range c.Form.Options {
		changes = changes || c.Has(o.Long) && o != optJSON
	}
	return withStore(c, changes, func(ctx context.Context, s store.Store) error {
		g, err := s.Gateway(ctx)
		if err != nil {
			return err
		}
		if changes {
			if err := changeGateway(c, g); err != nil {
				return err
			}
			if err := s.SetGateway(ctx, g); err != nil {
				return err
			}
		}
		if c.Has(optJSON.Long) {
			return c.PrintJSON(g)
		}
		if changes {
			return nil
		}
		_, err = fmt.Fprintf(c.Stdout, "public-key: %s\nendpoint: %s\naddresses: %s\nclient-allowed-ips: %s\ndns: %s\npersistent-keepalive: %d\n",
			orNone(keyText(g.PublicKey)), orNone(g.Endpoint), orNone(join(g.Addresses)), orNone(join(g.AllowedIPs)), orNone(strings.Join(g.DNS, ",")), g.Keepalive)
		return err
	})
}

// changeGateway applies the options of a call.
func changeGateway(c *cli.Call, g *store.Gateway) (err error) {
	if text, given := c.Value(optPublicKey.Long); given {
		g.PublicKey = key.Public{}
		if text != "" {
			if g.PublicKey, err = key.ParsePublic(text); err != nil {
				return err
			}
			if g.PublicKey.LowOrder() {
				return errors.New("public key: with this one no handshake can succeed: copy it again")
			}
		}
	}
	if text, given := c.Value(optAddresses.Long); given {
		if g.Addresses, err = parsePrefixes("addresses", text); err != nil {
			return err
		}
		if err := once("addresses", g.Addresses); err != nil {
			return err
		}
	}
	if text, given := c.Value(optClientAllowedIPs.Long); given {
		if g.AllowedIPs, err = parsePrefixes("client-allowed-ips", text); err != nil {
			return err
		}
		for i, p := range g.AllowedIPs {
			g.AllowedIPs[i] = p.Masked()
		}
		if err := once("client-allowed-ips", g.AllowedIPs); err != nil {
			return err
		}
	}
	if text, given := c.Value(optDNS.Long); given {
		g.DNS = strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' })
		if _, problems := wgconf.Parse([]byte("[Interface]\nDNS = " + strings.Join(g.DNS, ",") + "\n")).Decode(wgconf.Env{}); problems.HasErrors() {
			return fmt.Errorf("dns %s: write addresses of name servers and domains, with commas between them", quote.Text(text))
		}
	}
	if err := keepaliveOption(c, &g.Keepalive); err != nil {
		return err
	}
	return endpointOption(c, &g.Endpoint)
}

func keyText(public key.Public) string {
	if public.IsZero() {
		return ""
	}
	return public.Base64()
}

func orNone(text string) string {
	if text == "" {
		return "(none)"
	}
	return text
}

// join returns prefixes with commas between them.
func join(list []netip.Prefix) string {
	var texts []string
	for _, p := range list {
		texts = append(texts, p.String())
	}
	return strings.Join(texts, ",")
}
