package main

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"wgd/conf"
	"wgd/internal/cli"
	"wgd/internal/control"
	"wgd/internal/control/controltest"
	"wgd/internal/pcapng"
	"wgd/internal/sys/term/termtest"
	"wgd/key"
)

// A captured Target writes what it is given as a capture, which then ends.
type captured struct {
	*controltest.Target
	raw   []byte
	asked conf.Capture
}

func (c *captured) Capture(_ context.Context, want conf.Capture, w io.Writer) error {
	c.asked = want
	_, err := w.Write(c.raw)
	return err
}

// wholeCapture has two packets outside and one inside.
func wholeCapture() []byte {
	raw := pcapng.AppendSection(nil, &pcapng.Section{})
	for range 2 {
		raw = pcapng.AppendInterface(raw, &pcapng.Interface{Name: "x"})
	}
	for _, i := range []uint32{0, 0, 1} {
		raw = pcapng.AppendPacket(raw, &pcapng.Packet{Interface: i, Data: make([]byte, 60)})
	}
	raw = pcapng.AppendStatistics(raw, &pcapng.Statistics{Interface: 0, Dropped: 3})
	return pcapng.AppendStatistics(raw, &pcapng.Statistics{Interface: 1, Dropped: 4})
}

func serveCaptured(t *testing.T, raw []byte) *captured {
	t.Helper()
	serveTargets(t)
	status := conf.Status{Name: "wg0", Peers: []conf.PeerStatus{{PublicKey: key.Public{1}, Name: "B"}, {PublicKey: key.Public{2}}}}
	target := &captured{Target: controltest.New(status), raw: raw}
	server, err := control.Listen("wg0", nil)
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error)
	go func() { served <- server.Serve(target) }()
	t.Cleanup(func() { server.Close(); <-served })
	return target
}

// TestCaptureToFile: a capture goes to a new file that only its owner can read, or to
// standard output, as the daemon writes it; then come the figures.
func TestCaptureToFile(t *testing.T) {
	target := serveCaptured(t, wholeCapture())
	file := filepath.Join(t.TempDir(), "a.pcapng")
	const figures = "3 packets captured (2 outside, 1 inside), 7 dropped\n"
	begin := func(what, where string) string { return "capturing " + what + ", into " + where + ": Ctrl-C ends it\n" }
	status, out, errs := run("capture", "wg0", "-w", file)
	got, err := os.ReadFile(file)
	if status != 0 || out != "" || errs != begin("wg0", file)+figures || !bytes.Equal(got, target.raw) {
		t.Errorf("exit status %d, %q, %q, %v", status, out, errs, err)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file: %v, %v", info.Mode(), err)
	}
	if status, out, errs := run("capture", "wg0", "-w", "-"); status != 0 || out != string(target.raw) || errs != begin("wg0", "standard output")+figures {
		t.Errorf("to standard output: exit status %d, %q", status, errs)
	}
	if target.asked != (conf.Capture{Outer: true, Inner: true}) {
		t.Errorf("the daemon was asked for %+v", target.asked)
	}
	// A file that exists stays, unless --force is given.
	os.WriteFile(file, []byte("precious"), 0o644)
	if status, _, errs := run("capture", "wg0", "-w", file); status != 1 || !strings.Contains(errs, "--force") {
		t.Errorf("a file that exists: exit status %d, %q", status, errs)
	}
	if got, _ := os.ReadFile(file); string(got) != "precious" {
		t.Errorf("it was changed to %q", got)
	}
	if status, _, errs := run("capture", "wg0", "-w", file, "--force"); status != 0 {
		t.Errorf("--force: exit status %d, %q", status, errs)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("after --force: %v, %v", info.Mode(), err)
	}
	if status, _, errs := run("capture", "wg0", "-w", t.TempDir(), "--force"); status != 1 || !strings.Contains(errs, "is a folder") {
		t.Errorf("a folder: exit status %d, %q", status, errs)
	}
	// A link to nothing is replaced as well.
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(link+"-to-nothing", link); err != nil {
		t.Fatal(err)
	}
	if status, _, errs := run("capture", "wg0", "-w", link, "--force"); status != 0 {
		t.Errorf("a link: exit status %d, %q", status, errs)
	}
	if info, err := os.Lstat(link); err != nil || !info.Mode().IsRegular() {
		t.Errorf("the link was not replaced: %v", err)
	}
}

// TestCaptureSelects: what is captured follows from the options, and PEER may be a name,
// digits or a public key.
func TestCaptureSelects(t *testing.T) {
	target := serveCaptured(t, wholeCapture())
	first, second := key.Public{1}, key.Public{2}
	for _, c := range []struct {
		args []string
		want conf.Capture
		peer *key.Public

		begin string
	}{
		{[]string{"--outer"}, conf.Capture{Outer: true}, nil, "wg0 outside"},
		{[]string{"--inner"}, conf.Capture{Inner: true}, nil, "wg0 inside"},
		{[]string{"--inner", "--outer", "B"}, conf.Capture{Outer: true, Inner: true}, &first, "wg0, peer B"},
		{[]string{"--inner", second.String()}, conf.Capture{Inner: true}, &second, "wg0 inside, peer " + second.Hex()[:8]},
		{[]string{"--inner", second.Hex()[:8]}, conf.Capture{Inner: true}, &second, "wg0 inside, peer " + second.Hex()[:8]},
	} {
		status, _, errs := run(append([]string{"capture", "wg0"}, c.args...)...)
		if status != 0 || !strings.HasPrefix(errs, "capturing "+c.begin+", into standard output: Ctrl-C ends it\n") {
			t.Errorf("%q: exit status %d, %q", c.args, status, errs)
			continue
		}
		peer := target.asked.Peer
		if target.asked.Peer = nil; target.asked != c.want || (peer == nil) != (c.peer == nil) || peer != nil && *peer != *c.peer {
			t.Errorf("%q: the daemon was asked for %+v of %v", c.args, target.asked, peer)
		}
	}
}

// TestCaptureReaderEnds: that the program behind a pipe ends is no error.
func TestCaptureReaderEnds(t *testing.T) {
	serveCaptured(t, wholeCapture())
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	r.Close()
	defer w.Close()
	var errs bytes.Buffer
	status := cli.Run(command(), []string{"capture", "wg0"}, strings.NewReader(""), w, &errs)
	if status != 0 || !strings.Contains(errs.String(), "packets captured") {
		t.Errorf("exit status %d, %q", status, errs.String())
	}
}

// A fullDisk is a file on a disk that has space for some bytes only.
type fullDisk struct {
	*os.File
	left int
}

func (d *fullDisk) Write(b []byte) (n int, err error) {
	if n, err = d.File.Write(b[:min(d.left, len(b))]); n < len(b) {
		err = syscall.ENOSPC
	}
	d.left -= n
	return n, err
}

// TestCaptureOnFullDisk: only packets that are in the file count as captured, whatever fits;
// the others are counted too, and no part of a block is left.
func TestCaptureOnFullDisk(t *testing.T) {
	raw := wholeCapture()
	serveCaptured(t, raw)
	const missing = "capturing wg0, into /dev/full: Ctrl-C ends it\n0 packets captured (0 outside, 0 inside), 7 dropped, 3 not written\n"
	status, _, errs := run("capture", "wg0", "-w", "/dev/full")
	if status != 1 || !strings.HasPrefix(errs, missing) || !strings.Contains(errs, "/dev/full: no space left on device") {
		t.Errorf("exit status %d, %q", status, errs)
	}
	for space := range len(raw) {
		path := filepath.Join(t.TempDir(), "a.pcapng")
		file, err := os.Create(path)
		if err != nil {
			t.Fatal(err)
		}
		out, ended := &captureFile{Writer: &fullDisk{file, space}, file: file, made: true}, false
		c := tally{end: func() { ended = true }}
		if err := c.copy(out, bytes.NewReader(raw)); !errors.Is(err, syscall.ENOSPC) || !ended || !c.ended {
			t.Fatalf("%d bytes: %v, %+v", space, err, c)
		}
		if err := errors.Join(out.trim(c.bytes), out.Close()); err != nil {
			t.Fatal(err)
		}
		left, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		packets, r := 0, pcapng.NewReader(bytes.NewReader(left))
		for b, err := r.Next(); err != io.EOF; b, err = r.Next() {
			if err != nil {
				t.Fatalf("%d bytes: %v", space, err)
			}
			if _, ok := b.Packet(); ok {
				packets++
			}
		}
		if c.captured[0]+c.captured[1] != packets || c.unwritten != 3-packets || c.dropped != [2]uint64{3, 4} {
			t.Errorf("%d bytes: %+v, and the file has %d packets", space, c, packets)
		}
	}
}

// TestCaptureErrors: each is a sentence that says what to do, and none leaves a file.
func TestCaptureErrors(t *testing.T) {
	raw := wholeCapture()
	serveCaptured(t, raw)
	dir := t.TempDir()
	file := filepath.Join(dir, "a.pcapng")
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"wg1"}, "wg1: no such interface"},
		{[]string{"wg0", "C"}, "peer C: wg0 has no such peer: `wgconfig wg0` lists them"},
	} {
		if status, _, errs := run(append([]string{"capture", "-w", file}, c.args...)...); status != 1 || !strings.Contains(errs, c.want) {
			t.Errorf("%q: exit status %d, %q", c.args, status, errs)
		}
	}
	serveTargets(t, conf.Status{Name: "wg0"})
	if status, _, errs := run("capture", "wg0", "-w", file); status != 1 || !strings.Contains(errs, "cannot capture") {
		t.Errorf("a daemon without captures: exit status %d, %q", status, errs)
	}
	if list, _ := os.ReadDir(dir); len(list) > 0 {
		t.Errorf("a file is left: %v", list)
	}
	// A capture that is refused does not replace an old one.
	precious := filepath.Join(t.TempDir(), "old.pcapng")
	if err := os.WriteFile(precious, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	status, _, errs := run("capture", "wg0", "-w", precious, "--force")
	if got, err := os.ReadFile(precious); status != 1 || string(got) != "precious" {
		t.Errorf("refused, with --force: exit status %d, %q; the file has %q, %v", status, errs, got, err)
	}
	target := serveCaptured(t, raw)
	tty, screen := termtest.Open(t, 80)
	t.Setenv("TERM", "dumb")
	var said bytes.Buffer
	status = cli.Run(command(), []string{"capture", "wg0"}, strings.NewReader(""), tty, &said)
	if shown := screen(); status != 1 || shown != "" || !strings.Contains(said.String(), "-w FILE") {
		t.Errorf("on a terminal: exit status %d, %q, and the terminal shows %q", status, said.String(), shown)
	}
	// The daemon is killed in the middle: whole blocks are left.
	target.raw = raw[:len(raw)-100]
	if status, _, errs := run("capture", "wg0", "-w", file); status != 1 || !strings.Contains(errs, "the daemon has ended") {
		t.Errorf("cut off: exit status %d, %q", status, errs)
	}
	got, _ := os.ReadFile(file)
	r := pcapng.NewReader(bytes.NewReader(got))
	for n := 0; ; n++ {
		if _, err := r.Next(); err != nil {
			if !errors.Is(err, io.EOF) || n != 6 {
				t.Errorf("after %d blocks: %v", n, err)
			}
			break
		}
	}
}
