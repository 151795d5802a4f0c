package wg_test

import (
	"crypto/fips140"
	"crypto/rand"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"testing"

	"wgd/conf"
	"wgd/key"
	"wgd/netstack"
	"wgd/wg"
)

// In a process that may not use WireGuard's algorithms, every function on the
// way to a tunnel returns an error, and none panics.
func TestForbiddenByFIPS(t *testing.T) {
	const mode = "fips140=only"
	if !strings.Contains(os.Getenv("GODEBUG"), mode) {
		child := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$")
		child.Env = append(os.Environ(), "GODEBUG="+mode)
		if out, err := child.CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		if err := key.Permitted(); err != nil {
			t.Errorf("Permitted without %s: %v", mode, err)
		}
		return
	}
	refused := func(what string, err error) {
		t.Helper()
		if err == nil || !strings.Contains(err.Error(), "FIPS 140") || !strings.Contains(err.Error(), mode) {
			t.Errorf("%s: got error %v, want one that names %s", what, err, mode)
		}
	}
	private := key.NewPrivate(&[key.Size]byte{1})
	_, err := key.GeneratePrivate(rand.Reader)
	refused("GeneratePrivate", err)
	_, err = key.ParsePrivate(private.Base64())
	refused("ParsePrivate", err)
	_, err = key.ParsePrivateHex(private.Hex())
	refused("ParsePrivateHex", err)
	if private.Public().IsZero() {
		t.Error("Public of a key from NewPrivate: got the zero key")
	}

	open := func() (*netstack.Stack, *wg.Interface, error) {
		stack, err := netstack.New(netstack.Options{Addresses: []netip.Prefix{netip.MustParsePrefix("10.2.0.1/32")}})
		if err != nil {
			t.Fatal(err)
		}
		w, err := wg.Open(wg.Options{Name: "wg0", Device: stack})
		return stack, w, err
	}
	stack, _, err := open()
	refused("Open", err)
	if err := stack.Write([][]byte{make([]byte, 10)}); err == nil {
		t.Error("Open failed and did not close the Device")
	}
	_, err = wg.Open(wg.Options{Name: "wg0"})
	refused("Open of a kernel interface", err)

	// A program may call Open without enforcement. Apply then needs the same.
	var w *wg.Interface
	fips140.WithoutEnforcement(func() { _, w, err = open() })
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	refused("Apply", w.Apply(conf.Change{PrivateKey: &private}))
	fips140.WithoutEnforcement(func() { err = w.Apply(conf.Change{PrivateKey: &private}) })
	if err != nil || w.Status().PublicKey != private.Public() {
		t.Errorf("Apply without enforcement: %v", err)
	}
}
