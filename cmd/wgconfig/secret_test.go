package main

import (
	"strings"
	"testing"

	"wgd/internal/cli/clitest"
	"wgd/key"
)

// No secret is printed that was not requested.
func TestNoSecretInOutput(t *testing.T) {
	start(t, full())
	for _, line := range []string{"wg0", "wg0 --json", "wg0 show peer B", "wg0 show peer B --json", "wg0 sysctl", "wg0 set private-key " +
		keyFile(t, private.Base64()+"x", 0o600), "wg0 add peer C " + private.Base64() + "x",
		"wg0 set private-key " + private.Base64(), "wg0 set private-key " + private.Hex(), "wg0 set private-key " + private.Base64()[:43],
		"wg0 set private-key file " + private.Base64(), "wg0 " + private.Base64(), private.Base64(), "wg0 set " + private.Base64(), "wg0 show peer " + private.Base64(),
		"wg0 add peer " + private.Base64() + " C", "wg0 add peer C " + pubkeyB + " " + psk.Base64(),
		"wg0 set peer B --preshared-key " + psk.Base64(), "wg0 set peer B " + psk.Base64(),
		"wg0 set peer B --rename=" + private.Base64(), "wg0 set peer B --rename=" + private.Hex(), "wg0 set peer B --rename=" + private.Base64()[:43] + "+"} {
		_, stdout, stderr := run(strings.Fields(line)...)
		for _, secret := range []string{private.Base64()[:43], private.Hex(), psk.Base64(), psk.Hex()} {
			if strings.Contains(stdout+stderr, secret) {
				t.Errorf("wgconfig %s printed a secret", line)
			}
		}
	}
}

// A57: a peer with the interface's own public key is removed, with a warning.
func TestOwnKeyRemovesPeer(t *testing.T) {
	target := start(t, full())
	k := key.NewPrivate(&[32]byte{8, 2})
	runOK(t, "wg0 add peer mirror "+k.Public().Base64())
	before := len(target.Status().Peers)
	status, stdout, stderr := run("wg0", "set", "private-key", keyFile(t, k.Base64(), 0o600))
	want := "wgconfig: warning: peer mirror had the public key that is now wg0's own (" + k.Public().Base64() + "): the peer was removed\n"
	if status != 0 || stdout != "" || stderr != want {
		t.Errorf("exit status %d, %q, %q, want %q", status, stdout, stderr, want)
	}
	if after := len(target.Status().Peers); after != before-1 {
		t.Errorf("%d peers afterwards, want %d", after, before-1)
	}
	runOK(t, "wg0 set private-key /dev/null") // without a warning
}

// A key that stands in the wrong place is not repeated.
func TestNoKeyRepeated(t *testing.T) {
	start(t, full())
	clitest.NoKeyRepeated(t, command(), func(args ...string) string {
		_, stdout, stderr := run(args...)
		return stdout + stderr
	})
}
