package main

import (
	"strings"
	"testing"

	"wgd/internal/cli"
)

// Only commands that work here are recommended, and a file is named as a shell takes it.
func TestAlternatives(t *testing.T) {
	const proxy, namespace = `"wgd proxy x.conf --socks5 127.0.0.1:1080"`, `"unshare -Ur --net wgd up -f x.conf"`
	for _, c := range []struct{ proxy, namespaces bool }{{true, true}, {true, false}, {false, true}, {}} {
		text := alternatives(c.proxy, c.namespaces, "x.conf")
		if strings.Contains(text, proxy) != c.proxy || strings.Contains(text, namespace) != c.namespaces {
			t.Errorf("%+v: got %q", c, text)
		}
	}
	for conf, want := range map[string]string{
		"wg0":            "proxy wg0 ",
		"/a/b-c_d.conf":  "proxy /a/b-c_d.conf ",
		"/my files/wg0":  "proxy '/my files/wg0' ",
		"it's.conf":      `proxy 'it'\''s.conf' `,
		"$(reboot).conf": "proxy '$(reboot).conf' ",
	} {
		if text := alternatives(true, false, conf); !strings.Contains(text, want) {
			t.Errorf("%s: got %q, want %q", conf, text, want)
		}
	}
}

// wgd proxy is recommended by a program that has it.
func TestOffersProxy(t *testing.T) {
	for syntax, want := range map[string]bool{"proxy CONF": true, "up CONF": false, "proxying": false} {
		if got := offersProxy(&cli.Command{Forms: []cli.Form{{Syntax: "NAME"}, {Syntax: syntax}}}); got != want {
			t.Errorf("%s: got %t, want %t", syntax, got, want)
		}
	}
}
