// Wg-keygen makes the keys of wg interfaces. See wg-keygen(8).
package main

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"

	"wgd/internal/cli"
	"wgd/internal/sys/file"
	"wgd/key"
)

func main() { cli.Main(command()) }

func command() *cli.Command {
	return &cli.Command{
		Name:    "wg-keygen",
		Summary: "make keys for wg interfaces",
		Description: []string{
			"wg-keygen prints a new key, or the public key of a private one, as one line of base64.",
			"A private key identifies its owner: keep it in a file that only root may read, and give away only the public key. " +
				"A preshared key is an additional secret that two peers may share; each pair of peers has its own.",
			"If standard output is a file that other users may read, or the private key is read from such a file, " +
				"wg-keygen prints a warning on standard error and continues.",
		},
		Forms: []cli.Form{
			{Syntax: "", Summary: "print a new private key", Example: "wg-keygen > /etc/wg/wg0", Run: makePrivate},
			{
				Syntax:  "--pub",
				Example: "wg-keygen --pub < /etc/wg/wg0 > /etc/wg/wg0.pub",
				Summary: "read a private key from standard input and print its public key",
				Run:     printPublic,
			},
			{Syntax: "--psk", Summary: "print a new preshared key", Example: "wg-keygen --psk > /etc/wg/a-b.psk", Run: makePreshared},
		},
		Files: []cli.Entry{{Term: "/etc/wg/", Text: "The usual place for key files."}},
		Examples: []cli.Example{
			{Text: "Make the key pair of wg0:", Lines: []string{
				"umask 077",
				"wg-keygen > /etc/wg/wg0",
				"wg-keygen --pub < /etc/wg/wg0 > /etc/wg/wg0.pub",
			}},
			{Text: "Make a preshared key for the peers A and B:", Lines: []string{"wg-keygen --psk > /etc/wg/a-b.psk"}},
		},
		SeeAlso: []string{"wg-ifconfig(8)", "wgconfig(8)", "wgd(8)", "wg(4)"},
	}
}

func makePrivate(c *cli.Call) error {
	warnAbout(c, c.Stdout, "standard output", "the private key")
	k, err := key.GeneratePrivate(rand.Reader)
	if err != nil {
		return fmt.Errorf("no random bytes for a key: %w", err)
	}
	defer k.Erase()
	return printLine(c, k.Base64())
}

func makePreshared(c *cli.Call) error {
	warnAbout(c, c.Stdout, "standard output", "the preshared key")
	k, err := key.GeneratePreshared(rand.Reader)
	if err != nil {
		return fmt.Errorf("no random bytes for a key: %w", err)
	}
	defer k.Erase()
	return printLine(c, k.Base64())
}

// longestInput is enough for a key with white space around it.
const longestInput = 4096

func printPublic(c *cli.Call) error {
	warnAbout(c, c.Stdin, "standard input", "the private key")
	text, err := io.ReadAll(io.LimitReader(c.Stdin, longestInput))
	if err != nil {
		return fmt.Errorf("read the private key from standard input: %w", err)
	}
	defer clear(text)
	if len(bytes.TrimSpace(text)) == 0 {
		return errors.New("standard input: it is empty: give a private key, as wg-keygen prints it")
	}
	k, err := key.ParsePrivate(string(text))
	if err != nil {
		return fmt.Errorf("standard input: %w", err)
	}
	defer k.Erase()
	if k.IsZero() {
		return errors.New("standard input: the private key is all zeros, which means no key: make one with wg-keygen")
	}
	return printLine(c, k.Public().Base64())
}

// warnAbout prints a warning if other users may read the file with the key.
func warnAbout(c *cli.Call, stream any, name, what string) {
	f, ok := stream.(*os.File)
	if !ok {
		return
	}
	info, err := f.Stat()
	if err == nil && file.ReadableByOthers(info) {
		c.Warnf("%s has mode %04o: others may read %s: make it private with chmod 600", name, info.Mode().Perm(), what)
	}
}

func printLine(c *cli.Call, line string) error {
	if _, err := fmt.Fprintln(c.Stdout, line); err != nil {
		return fmt.Errorf("print the key: %w", err)
	}
	return nil
}
