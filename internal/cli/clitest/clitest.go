// Package clitest tests what all commands must do with their arguments.
package clitest

import (
	"strings"
	"testing"

	"wgd/internal/cli"
	"wgd/key"
)

// NoKeyRepeated calls the command with a key in place of every argument and of the value
// of every option, and one argument too many, and fails if it prints the key. run
// returns everything that the command printed.
func NoKeyRepeated(t *testing.T, c *cli.Command, run func(args ...string) string) {
	t.Helper()
	calls := 0
	for i := range c.Forms {
		form := &c.Forms[i]
		line, _, _ := strings.Cut(form.Example, " >")
		line, _, _ = strings.Cut(line, " <")
		words := strings.Fields(line)
		if len(words) == 0 {
			continue
		}
		words = words[1:]
		for _, secret := range secrets() {
			for _, text := range disguises(secret) {
				for at := range len(words) + 1 {
					args := append([]string{}, words...)
					args = append(args[:at], append([]string{text}, args[min(at+1, len(args)):]...)...)
					check(t, run, secret, args)
					calls++
				}
				for _, o := range append(form.Options, cli.Option{Long: text}) {
					if o.Long == "" {
						continue
					}
					check(t, run, secret, append(append([]string{}, words...), "--"+o.Long+"="+text))
					calls++
				}
			}
		}
	}
	if calls == 0 {
		t.Error("no call was tried")
	}
}

// secrets are keys as they are typed: complete, with a letter missing, and with one too
// many. None is the valid name of a peer, which may be printed.
func secrets() []string {
	k := key.NewPrivate(&[32]byte{0xfb, 0xff, 0xbf, 3, 4, 0xfb, 0xff, 0xbf, 8, 9, 10, 11, 12, 13, 14, 0xff, 0xff, 0xff, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31})
	return []string{k.Base64(), k.Base64()[:43], k.Base64() + "A", k.Hex(), k.Hex() + "0"}
}

// disguises are the forms in which a key may stand where something else is expected.
func disguises(secret string) []string {
	return []string{secret, secret + "," + secret, "10.0.0.0/8," + secret, secret + "/32", "10.0.0.1/" + secret, secret + ":51820", "[" + secret + "]:51820",
		"vpn.example.com:" + secret, secret + ".conf", "0x" + secret, "net.wg.rekey_timeout=" + secret, secret + "=5", " " + secret + " "}
}

// check fails if what run prints has a part of the secret that is longer than what
// messages show of a long word.
func check(t *testing.T, run func(args ...string) string, secret string, args []string) {
	t.Helper()
	printed := run(args...)
	const part = 9
	for i := range len(secret) - part {
		if strings.Contains(printed, secret[i:i+part]) {
			t.Errorf("%s: it printed a part of the key: %s", strings.Join(args, " "), printed)
			return
		}
	}
}
