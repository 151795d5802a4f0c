package main

import (
	"bufio"
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
	"wgd/internal/pcapng"
	"wgd/internal/quote"
	"wgd/internal/sys/errno"
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
			"It ends with Ctrl-C, when its reader ends, or with the interface; then standard error says how many packets were captured and dropped. " +
			"Packets are dropped if they are not read in time. The tunnel never waits, and loses none of them.",
		"Outside are all datagrams that arrive at the port, also those that are refused, and those that were sent: data, keepalives, handshakes and cookie replies. Their payload is that of the wire. " +
			"The IP and UDP headers are made from what the daemon knows: addresses, ports, ECN, and for what is sent DSCP; the TTL of what was received, IP options and fragments are not known. " +
			"Inside are packets as they come out of their datagrams, also those that are refused afterwards, for example for their source; and packets as they are when they are encrypted.",
		"With PEER, it has the packets of this peer only. Outside, these are datagrams for its sessions and handshakes, and those from its endpoint. " +
			"An initiation from another address is shown as soon as it is answered, because only then it is known whose it is. Without PEER, a comment on each packet says whose it is, if that is known.",
		"Only who may change the interface may capture: what is inside is not encrypted.",
	},
	Run: runCapture,
}

// runCapture captures packets of an interface.
func runCapture(c *cli.Call) error {
	want := conf.Capture{Outer: c.Has("outer") || !c.Has("inner"), Inner: c.Has("inner") || !c.Has("outer")}
	name := c.Arg("NAME")
	if peer := c.Arg("PEER"); peer != "" {
		public, err := findPeer(name, peer)
		if err != nil {
			return err
		}
		want.Peer = &public
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
	var t tally
	err = named(t.copy(out, stream))
	if err == nil && !t.ended {
		err = fmt.Errorf("%s: the daemon has ended: what was captured before is complete", name)
	}
	if closing := out.Close(); err == nil {
		err = closing
	}
	fmt.Fprintln(c.Stderr, t.text(want))
	return err
}

// findPeer returns the public key of a peer.
func findPeer(name, wanted string) (public key.Public, err error) {
	status, err := control.StatusOf(name)
	if err != nil {
		return public, err
	}
	defer status.Erase()
	p, _, err := show.Find(&status, wanted)
	if err != nil {
		return public, err
	}
	return p.PublicKey, nil
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

// discard removes the file if it is a new one.
func (f *captureFile) discard() error {
	if f.file == nil || !f.made {
		return nil
	}
	return named(os.Remove(f.file.Name()))
}

// A tally counts the packets of a capture, by the number of their interface.
type tally struct {
	captured [2]int
	dropped  [2]uint64
	ended    bool // all of it was read
}

const captureBuffer = 256 << 10

// copy copies the capture, whole blocks only, and counts. That the reader of w has ended
// is no error.
func (t *tally) copy(w io.Writer, stream io.Reader) error {
	blocks, out := pcapng.NewReader(stream), bufio.NewWriterSize(w, captureBuffer)
	for {
		b, err := blocks.Next()
		switch {
		case errors.Is(err, io.EOF):
			return t.written(out.Flush())
		case errors.Is(err, pcapng.ErrFormat):
			return errors.Join(out.Flush(), err)
		case err != nil: // the daemon was killed
			return t.written(out.Flush())
		}
		t.count(&b)
		_, err = out.Write(b.Raw)
		if err == nil && !blocks.Buffered() {
			err = out.Flush()
		}
		if err != nil {
			return t.written(err)
		}
	}
}

// written returns err, unless it says that the reader has ended.
func (t *tally) written(err error) error {
	if errno.NobodyReads(err) {
		t.ended = true
		return nil
	}
	return err
}

func (t *tally) count(b *pcapng.Block) {
	if p, ok := b.Packet(); ok && p.Interface < 2 {
		t.captured[p.Interface]++
	}
	if s, ok := b.Statistics(); ok && s.Interface < 2 {
		t.dropped[s.Interface] = s.Dropped
		t.ended = true
	}
}

// text says how many packets there were.
func (t *tally) text(want conf.Capture) string {
	text := fmt.Sprintf("%d packets captured", t.captured[0]+t.captured[1])
	if want.Outer && want.Inner {
		text += fmt.Sprintf(" (%d outside, %d inside)", t.captured[0], t.captured[1])
	}
	return text + fmt.Sprintf(", %d dropped", t.dropped[0]+t.dropped[1])
}
