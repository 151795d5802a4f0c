package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"wgd/conf"
	"wgd/internal/cli"
	"wgd/internal/cli/show"
	"wgd/internal/control"
	"wgd/internal/quote"
	"wgd/internal/sys/process"
	"wgd/internal/sys/term"
	"wgd/key"
)

var captureForm = cli.Form{
	Syntax:  "capture NAME [PEER]",
	Example: "wgd capture wg0 -w wg0.pcapng",
	Summary: "capture the packets outside and inside a tunnel, for tshark or Wireshark",
	Options: []cli.Option{
		{Long: "outer", Text: "only the datagrams outside, encrypted"},
		{Long: "inner", Text: "only the packets inside"},
		{Long: "write", Short: 'w', Value: "FILE", Text: "write to this file, which only its owner can read; - is standard output"},
		{Long: "force", Text: "replace files that exist"},
	},
	Text: []string{
		"The capture has the format pcapng, with an interface `NAME outer` and an interface `NAME inner`. It may begin in the middle of a session, and neither needs nor contains a key. " +
			"It ends with Ctrl-C, when its reader ends, with the interface, or if it cannot be written; then standard error says how many packets were captured, dropped, and not written. " +
			"Packets are dropped if they are not read in time. The tunnel never waits, and loses none of them.",
		"Outside are all datagrams that arrive at the port, also those that are refused, and those that were sent: data, keepalives, handshakes and cookie replies. Their payload is that of the wire. " +
			"The IP and UDP headers are made from what the daemon knows: addresses, ports, ECN, and for what is sent DSCP; the TTL of what was received, IP options and fragments are not known. " +
			"Inside are packets as they come out of their datagrams, also those that are refused afterwards, for example for their source; and packets as they are when they are encrypted.",
		"With PEER, it has the packets of this peer only. Outside, these are datagrams for its sessions and handshakes, and those from its endpoint. " +
			"An initiation from another address is shown as soon as it is answered, because only then it is known whose it is. Without PEER, a comment on each packet says whose it is, if that is known.",
		"Wireshark takes the datagrams for WireGuard, unless a UDP port is that of another protocol, such as 53 or 443: then tell it, as with tshark -d udp.port==53,wg.",
		"Only who may change the interface may capture: what is inside is not encrypted.",
	},
	Run: runCapture,
}

// runCapture captures packets of an interface.
func runCapture(c *cli.Call) error {
	want := conf.Capture{Outer: c.Has("outer") || !c.Has("inner"), Inner: c.Has("inner") || !c.Has("outer")}
	name := c.Arg("NAME")
	shown := ""
	if peer := c.Arg("PEER"); peer != "" {
		public, as, err := findPeer(name, peer)
		if err != nil {
			return err
		}
		want.Peer, shown = &public, as
	}
	client, err := control.Dial(name)
	if err != nil {
		return err
	}
	defer client.Close()
	out, err := openCapture(c)
	if err != nil {
		return err
	}
	defer out.Close()
	ctx, cancel := process.UntilTerminated()
	defer cancel()
	stream, err := client.Capture(want)
	if err == nil {
		err = out.replace()
	}
	if err != nil {
		return errors.Join(err, out.discard())
	}
	defer context.AfterFunc(ctx, func() {
		cancel() // a second signal ends the process
		client.EndCapture()
	})()
	fmt.Fprintln(c.Stderr, beginText(name, want, shown, out))
	t := tally{end: func() { client.EndCapture() }}
	err = named(t.copy(out, stream))
	if err == nil && !t.ended {
		err = fmt.Errorf("%s: the daemon has ended: what was captured before is complete", name)
	}
	if trimming := out.trim(t.bytes); err == nil {
		err = trimming
	}
	if closing := out.Close(); err == nil {
		err = closing
	}
	fmt.Fprintln(c.Stderr, t.text(want))
	return err
}

// beginText says what is captured, into what, and how to end it.
func beginText(name string, want conf.Capture, peer string, out *captureFile) string {
	text := "capturing " + name
	switch {
	case !want.Inner:
		text += " outside"
	case !want.Outer:
		text += " inside"
	}
	if peer != "" {
		text += ", peer " + peer
	}
	if out.file == nil {
		text += ", into standard output"
	} else {
		text += ", into " + quote.Path(out.file.Name())
	}
	return text + ": Ctrl-C ends it"
}

// findPeer returns the public key of a peer, and how it is shown.
func findPeer(name, wanted string) (public key.Public, shown string, err error) {
	status, err := control.StatusOf(name)
	if err != nil {
		return public, "", err
	}
	defer status.Erase()
	p, shown, err := show.Find(&status, wanted)
	if err != nil {
		return public, "", err
	}
	return p.PublicKey, shown, nil
}

// A captureFile is where a capture goes.
type captureFile struct {
	io.Writer
	file *os.File // nil: standard output
	made bool     // the file is a new one

	replaces string // a file whose place it takes, see replace; "": none
}

// openCapture opens the file for the capture, or standard output.
func openCapture(c *cli.Call) (*captureFile, error) {
	path, given := c.Value("write")
	switch {
	case given && path != "-":
		return createCapture(path, c.Has("force"))
	case isTerminal(c.Stdout):
		return nil, errors.New("a terminal cannot show a capture: write it to a file with -w FILE, or to a program: wgd capture wg0 | tshark -r -")
	}
	return &captureFile{Writer: c.Stdout}, nil
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.Is(f)
}

// createCapture makes a new file. What exists and is no ordinary file, such as a named
// pipe, is opened. A file that is to be replaced stays until replace is called.
func createCapture(path string, force bool) (*captureFile, error) {
	info, err := os.Stat(path)
	switch {
	case err == nil && info.IsDir():
		return nil, fmt.Errorf("%s is a folder: give a file in it", quote.Path(path))
	case err == nil && !info.Mode().IsRegular():
		f, err := os.OpenFile(path, os.O_WRONLY, 0)
		return &captureFile{Writer: f, file: f}, named(err)
	}
	if _, err := os.Lstat(path); err == nil && force { // perhaps a link to nothing
		return &captureFile{replaces: path}, nil
	}
	f, err := newCapture(path)
	if errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("%s exists: give another file, or --force to replace it", quote.Path(path))
	}
	return &captureFile{Writer: f, file: f, made: true}, named(err)
}

func newCapture(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
}

// replace removes the file that is to be replaced, and makes the new one. It is called
// when the capture has begun, so that a capture that is refused costs no old one.
func (f *captureFile) replace() error {
	if f.replaces == "" {
		return nil
	}
	if err := os.Remove(f.replaces); err != nil {
		return named(err)
	}
	file, err := newCapture(f.replaces)
	if err != nil {
		return named(err)
	}
	f.Writer, f.file, f.made = file, file, true
	return nil
}

// named returns the error of a file with its path as messages show it.
func named(err error) error {
	if path := (*fs.PathError)(nil); errors.As(err, &path) {
		return fmt.Errorf("%s: %w", quote.Path(path.Path), path.Err)
	}
	return err
}

// Close closes the file. It may be called twice.
func (f *captureFile) Close() error {
	if f.file == nil {
		return nil
	}
	file := f.file
	f.file = nil
	return named(file.Close())
}

// trim cuts a new file to its whole blocks, after the last one could not be written.
func (f *captureFile) trim(size int64) error {
	if f.file == nil || !f.made {
		return nil
	}
	return named(f.file.Truncate(size))
}

// discard removes the file if it is a new one.
func (f *captureFile) discard() error {
	if f.file == nil || !f.made {
		return nil
	}
	return named(os.Remove(f.file.Name()))
}
