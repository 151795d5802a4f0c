package main

import (
	"strings"
	"testing"
)

// Only commands that work here are recommended, and a file is named as a shell takes it.
func TestAlternatives(t *testing.T) {
	const proxy, namespace = `"wgd proxy x.conf --socks5 127.0.0.1:1080"`, `"unshare -Ur --net wgd up -f x.conf"`
	for _, namespaces := range []bool{true, false} {
		text := alternatives(namespaces, "x.conf")
		if !strings.Contains(text, proxy) || strings.Contains(text, namespace) != namespaces {
			t.Errorf("namespaces %t: got %q", namespaces, text)
		}
	}
	for conf, want := range map[string]string{
		"wg0":            "proxy wg0 ",
		"/a/b-c_d.conf":  "proxy /a/b-c_d.conf ",
		"/my files/wg0":  "proxy '/my files/wg0' ",
		"it's.conf":      `proxy 'it'\''s.conf' `,
		"$(reboot).conf": "proxy '$(reboot).conf' ",
	} {
		if text := alternatives(false, conf); !strings.Contains(text, want) {
			t.Errorf("%s: got %q, want %q", conf, text, want)
		}
	}
}
