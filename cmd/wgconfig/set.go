package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"
	"strings"

	"wgd/conf"
	"wgd/internal/cli"
	"wgd/internal/cli/show"
	"wgd/internal/control"
	"wgd/internal/quote"
	"wgd/internal/sys/file"
	"wgd/key"
)

// apply applies a change to the interface of the call.
func apply(c *cli.Call, change conf.Change) error {
	client, err := control.Dial(c.Arg("INTERFACE"))
	if err != nil {
		return err
	}
	defer client.Close()
	return client.Apply(change)
}

func setPrivateKey(c *cli.Call) error {
	path := c.Arg("FILE")
	text, err := readKeyFile(c, path)
	if err != nil {
		return err
	}
	var private key.Private // none
	if text != "" {
		if private, err = key.ParsePrivate(text); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		if private.IsZero() {
			return fmt.Errorf("%s: the private key is all zeros, which means no key: make one with wg-keygen, or give /dev/null for none", path)
		}
	}
	return withInterface(c, func(client *control.Client, status *conf.Status) error {
		if err := client.Apply(conf.Change{PrivateKey: &private}); err != nil {
			return err
		}
		// A57: the interface removed a peer with its own public key.
		if peer, name, err := show.Find(status, private.Public().Base64()); err == nil && !private.IsZero() {
			c.Warnf("peer %s had the public key that is now %s's own (%s): the peer was removed", name, status.Name, peer.PublicKey)
		}
		return nil
	})
}

func setListenPort(c *cli.Call) error {
	n, err := strconv.ParseUint(c.Arg("PORT"), 10, 16)
	if err != nil {
		return fmt.Errorf("listen-port %s: give a port from 1 to 65535, or 0 for any that is free", quote.Text(c.Arg("PORT")))
	}
	port := uint16(n)
	return apply(c, conf.Change{ListenPort: &port})
}

func setFirewallMark(c *cli.Call) error {
	mark, err := parseMark(c.Arg("MARK"))
	if err != nil {
		return err
	}
	return apply(c, conf.Change{FirewallMark: &mark})
}

func setMSSClamp(c *cli.Call) error {
	on := c.Arg("on|off") == "on"
	return apply(c, conf.Change{MSSClamp: &on})
}

// parseMark accepts the same as wg(8): decimal, hexadecimal after 0x, or off.
func parseMark(s string) (uint32, error) {
	if s == "off" {
		return 0, nil
	}
	digits, base := s, 10
	if hex, ok := strings.CutPrefix(strings.ToLower(s), "0x"); ok {
		digits, base = hex, 16
	}
	n, err := strconv.ParseUint(digits, base, 32)
	if err != nil {
		return 0, fmt.Errorf("fwmark %s: give a number of 32 bits, decimal or after 0x, or off", quote.Text(s))
	}
	return uint32(n), nil
}

// keyInsteadOfFile returns the error about a file that does not exist and whose
// name is or looks like a key. The error does not repeat it, although other
// users could see it.
func keyInsteadOfFile(path string) error {
	if !key.IsEncoded(path) {
		return fmt.Errorf("there is no key file of the name that was given, which has %d characters and looks like a key: give the name of a file; "+
			"if it was a key, make a new one: everybody could see it in the list of processes", len(path))
	}
	return errors.New("a key was given in place of a file: everybody could see it in the list of processes; " +
		"make a new one with wg-keygen, in a file, and give the name of that file")
}

// readKeyFile returns the text of a key file. It is empty for /dev/null. An
// empty regular file is an error, because it is probably a mistake.
func readKeyFile(c *cli.Call, path string) (string, error) {
	f, err := os.Open(path)
	shown := quote.Path(path)
	switch {
	case path == "":
		return "", errors.New("the name of the key file is empty: give a file that holds the key in base64")
	case err != nil && quote.LooksLikeKey(path):
		return "", keyInsteadOfFile(path)
	case errors.Is(err, fs.ErrNotExist):
		return "", fmt.Errorf("%s: there is no such key file: make one with wg-keygen", shown)
	case errors.Is(err, fs.ErrPermission):
		return "", fmt.Errorf("%s: no permission to read this key file: run as its owner or as root", shown)
	case err != nil:
		return "", fmt.Errorf("%s: %w", shown, errors.Unwrap(err)) // without the path
	}
	defer f.Close()
	info, err := f.Stat()
	switch {
	case err != nil:
		return "", err
	case info.IsDir():
		return "", fmt.Errorf("%s: this is a directory: give a file that holds the key in base64", shown)
	}
	if file.ReadableByOthers(info) {
		c.Warnf("%s: others may read this key: chmod 600 %s", shown, shown)
	}
	const maxLength = 4096
	text, err := io.ReadAll(io.LimitReader(f, maxLength))
	defer clear(text)
	if err != nil {
		return "", err
	}
	if len(text) == 0 && info.Mode()&os.ModeCharDevice == 0 {
		return "", fmt.Errorf("%s: the file is empty: make a key with wg-keygen, or give /dev/null for none", shown)
	}
	return string(text), nil
}
