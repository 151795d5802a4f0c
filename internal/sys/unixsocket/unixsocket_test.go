package unixsocket

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A socket is for its owner only, is the only file that was made, and stays when its
// listener is closed.
func TestMake(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "s")
	if err := os.WriteFile(path, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	l, err := Make(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
	l.Close()
	files, err := os.ReadDir(dir)
	if err != nil || len(files) != 1 {
		t.Fatalf("files: %v, %v", files, err)
	}
	if info, err := files[0].Info(); err != nil || info.Mode() != fs.ModeSocket|0o600 {
		t.Errorf("the socket: %v, %v", info, err)
	}
}

// A path that is too long is refused with a sentence, and the longest one is accepted.
func TestLongPath(t *testing.T) {
	dir := t.TempDir()
	longest := dir + "/" + strings.Repeat("d", maxFolder-len(dir)-1)
	if err := os.Mkdir(longest, 0o700); err != nil {
		t.Fatal(err)
	}
	l, err := Make(longest+"/"+strings.Repeat("s", maxPath-maxFolder-1), nil)
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	for _, path := range []string{longest + "d/s", longest + "/" + strings.Repeat("s", maxPath-maxFolder)} {
		if _, err := Make(path, nil); err == nil || !strings.Contains(err.Error(), "choose a shorter one") {
			t.Errorf("%d bytes: %v", len(path), err)
		}
	}
	if _, err := Make(filepath.Join(dir, "none", "s"), nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a folder that does not exist: %v", err)
	}
}

// Where sockets would be for everybody, none is made.
func TestUnsupported(t *testing.T) {
	defer func() { Unsupported = nil }()
	Unsupported = errors.New("not here")
	path := filepath.Join(t.TempDir(), "s")
	if _, err := Make(path, nil); err != Unsupported {
		t.Errorf("got %v, want %v", err, Unsupported)
	}
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the socket: %v", err)
	}
}
