package main

import (
	"strings"
	"testing"

	"wgd/conf"
)

// Who may read the state, but not the keys, learns that from what would show a key. The
// rest is as usual, and a peer still says that it has a preshared key.
func TestWithheldKeys(t *testing.T) {
	start(t, full()).Set(func(s *conf.Status) { s.Withhold() })
	const refused = "wgconfig: wg0: this user may read the state, but not the private key: do this as root\n"
	runFails(t, "wg0 show private-key", 1, refused)
	runFails(t, "wg0 show private-key --json", 1, refused)
	if got := runOK(t, "wg0 show peer B --show-preshared-key"); !strings.Contains(got, "preshared-key: (withheld: this user may not read it)") {
		t.Error(got)
	}
	if got := runOK(t, "wg0 show peer B --json --show-preshared-key"); !strings.Contains(got, `"has_preshared_key": true`) || strings.Contains(got, `"preshared_key"`) {
		t.Error(got)
	}
	if got := runOK(t, "wg0 show peer deadbeef11 --json"); !strings.Contains(got, `"has_preshared_key": false`) {
		t.Error(got)
	}
	if got := runOK(t, "wg0 --json"); strings.Contains(got, `"public_key": null`) {
		t.Error(got)
	}
}
