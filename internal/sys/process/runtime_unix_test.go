//go:build unix

package process

import (
	"os"
	"path/filepath"
	"testing"
)

// A user who cannot write to the folder of the system has one in $XDG_RUNTIME_DIR, if
// that is safe: the user's own, and for nobody else to write to.
func TestRuntimeDir(t *testing.T) {
	temp := t.TempDir()
	own := filepath.Join(temp, "own")
	open := filepath.Join(temp, "open")
	for dir, mode := range map[string]os.FileMode{own: 0o700, open: 0o777} {
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(dir, mode); err != nil {
			t.Fatal(err)
		}
	}
	file := filepath.Join(temp, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	// Nobody can make a folder there, not even root.
	const readOnly = "/proc/sys/wgd"
	for _, c := range []struct{ name, xdg, dir, want string }{
		{"writable", own, temp, temp},
		{"can be made", own, filepath.Join(temp, "a/b"), filepath.Join(temp, "a/b")},
		{"not writable", own, readOnly, filepath.Join(own, "wgd")},
		{"not set", "", readOnly, readOnly},
		{"relative", "own", readOnly, readOnly},
		{"missing", filepath.Join(temp, "missing"), readOnly, readOnly},
		{"others can write to it", open, readOnly, readOnly},
		{"a file", file, readOnly, readOnly},
	} {
		t.Setenv("XDG_RUNTIME_DIR", c.xdg)
		if got := RuntimeDir(c.dir); got != c.want {
			t.Errorf("%s: got %s, want %s", c.name, got, c.want)
		}
	}
	if os.Geteuid() != 0 {
		if os.Getenv("CI") == "true" {
			t.Fatal("a folder of another user: needs root")
		}
		t.Skip("NOT TESTED: a folder of another user: needs root")
	}
	if err := os.Chown(own, 65534, 65534); err != nil {
		t.Fatal(err)
	}
	t.Setenv("XDG_RUNTIME_DIR", own)
	if got := RuntimeDir(readOnly); got != readOnly {
		t.Errorf("a folder of another user: got %s, want %s", got, readOnly)
	}
}
