package wg

import (
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"wgd/netstack"
)

const (
	privateText = "CEcYqDtmVuTxbPTQg6gYE3eXoBWKBhK+0oDHW1FSWkE="
	publicText  = "40kXwfNgtFw5PDy74YUZUBoHH054uIf7Xn31dSvuegg="
	fileText    = `[Interface]
PrivateKeyFile = wg0.key
Address = 10.2.0.42/24, fd00:2::42/64
DNS = 10.2.0.1, corp.example, ~only.example
MTU = 1400
PostUp = echo up

[Peer]
PublicKey = ` + publicText + `
Endpoint = vpn.example:1234
AllowedIPs = 0.0.0.0/0
`
)

func write(t *testing.T, path, text string, mode os.FileMode) string {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	return path
}

// ReadFile returns the tunnel of a file, with keys from key files, and what
// netstack needs.
func TestReadFile(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "wg0.key"), privateText+"\n", 0o600)
	path := write(t, filepath.Join(dir, "wg0.conf"), fileText, 0o644)
	f, err := ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	peer := f.Change.Peers[0]
	if f.Change.PrivateKey.Base64() != privateText || peer.PublicKey.Base64() != publicText || peer.Endpoint != nil ||
		*peer.EndpointName != "vpn.example:1234" || peer.AllowedIPs[0].Prefix != netip.MustParsePrefix("0.0.0.0/0") {
		t.Errorf("got %+v", f.Change)
	}
	if !slices.Equal(f.Addresses, []netip.Prefix{netip.MustParsePrefix("10.2.0.42/24"), netip.MustParsePrefix("fd00:2::42/64")}) ||
		f.MTU != 1400 || !slices.Equal(f.NameServers, []netip.Addr{netip.MustParseAddr("10.2.0.1")}) ||
		!slices.Equal(f.Search, []string{"corp.example"}) {
		t.Errorf("got %+v", f)
	}
	if !slices.ContainsFunc(f.Warnings, func(s string) bool { return strings.Contains(s, "chmod 600") }) {
		t.Errorf("no warning that others may read the file: %q", f.Warnings)
	}

	stack, err := netstack.New(netstack.Options{Addresses: f.Addresses, MTU: f.MTU, NameServers: f.NameServers, Search: f.Search})
	if err != nil {
		t.Fatal(err)
	}
	w, err := Open(Options{Name: "wg0", Device: stack})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	if err := w.Apply(f.Change); err != nil {
		t.Fatal(err)
	}
	f.Erase()
	status := w.Status()
	defer status.Erase()
	if !f.Change.PrivateKey.IsZero() || status.PrivateKey.Base64() != privateText || len(status.Peers) != 1 || status.MTU != 1400 {
		t.Errorf("the status is %+v", status)
	}
}

// Errors name the file, the line, what is wrong, and never a key.
func TestFileErrors(t *testing.T) {
	dir := t.TempDir()
	if _, err := ReadFile(filepath.Join(dir, "none.conf")); err == nil || !strings.Contains(err.Error(), "none.conf") {
		t.Errorf("no such file: %v", err)
	}
	path := write(t, filepath.Join(dir, "wg0.conf"), "[Interface]\nPrivateKey = "+privateText+"\nMTU = x\n", 0o600)
	if _, err := ReadFile(path); err == nil || !strings.HasPrefix(err.Error(), path+":3: ") || strings.Contains(err.Error(), privateText) {
		t.Errorf("a wrong MTU: %v", err)
	}
	if _, err := ParseFile([]byte(fileText)); err == nil || !strings.Contains(err.Error(), "the configuration:2: ") || !strings.Contains(err.Error(), "use ReadFile") {
		t.Errorf("a key file in a text: %v", err)
	}
	text := strings.Replace(fileText, "PrivateKeyFile = wg0.key", "PrivateKey = "+privateText, 1)
	if f, err := ParseFile([]byte(text)); err != nil || f.Change.PrivateKey.Base64() != privateText {
		t.Errorf("a text: %v", err)
	}
	if _, err := ParseFile([]byte(strings.Replace(text, ":1234", ":nothing-of-this-name", 1))); err == nil {
		t.Error("a port that is no port: no error")
	}
}
