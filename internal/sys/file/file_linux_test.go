package file

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// The new content has the mode and the owner of the old one, a link stays a link, and
// nothing else is left in the folders.
func TestReplace(t *testing.T) {
	dir := t.TempDir()
	target, link := filepath.Join(dir, "real", "wg0.conf"), filepath.Join(dir, "wg0.conf")
	if err := os.Mkdir(filepath.Dir(target), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(target, []byte("old\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(target, 0o640); err != nil {
		t.Fatal(err)
	}
	if os.Geteuid() == 0 {
		if err := os.Chown(target, 1234, 2345); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(filepath.Join("real", "wg0.conf"), link); err != nil {
		t.Fatal(err)
	}
	var before, after unix.Stat_t
	if err := unix.Stat(target, &before); err != nil {
		t.Fatal(err)
	}
	if err := Replace(link, []byte("new\n")); err != nil {
		t.Fatal(err)
	}
	if err := unix.Stat(target, &after); err != nil {
		t.Fatal(err)
	}
	if before.Mode != after.Mode || before.Uid != after.Uid || before.Gid != after.Gid || before.Ino == after.Ino {
		t.Errorf("before %+v, after %+v", before, after)
	}
	if text, err := os.ReadFile(link); err != nil || string(text) != "new\n" {
		t.Errorf("%q, %v", text, err)
	}
	if to, err := os.Readlink(link); err != nil || to != filepath.Join("real", "wg0.conf") {
		t.Errorf("the link leads to %s, %v", to, err)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "*", ".*")); len(left) > 0 {
		t.Errorf("left: %v", left)
	}
}

// A regular file that its group or everybody may read is readable by others.
func TestReadableByOthers(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	for mode, want := range map[os.FileMode]bool{0o600: false, 0o400: false, 0o622: false, 0o640: true, 0o604: true, 0o644: true} {
		if err := errors.Join(os.WriteFile(path, nil, 0o600), os.Chmod(path, mode)); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(path)
		if err != nil || ReadableByOthers(info) != want {
			t.Errorf("mode %o: %v, want %v (%v)", mode, ReadableByOthers(info), want, err)
		}
	}
	if info, err := os.Stat("/dev/null"); err != nil || ReadableByOthers(info) {
		t.Errorf("/dev/null holds no key that others could read (%v)", err)
	}
}

// A file that cannot be replaced stays as it is.
func TestReplaceFails(t *testing.T) {
	dir := t.TempDir()
	if err := Replace(filepath.Join(dir, "none"), nil); err == nil || !strings.Contains(err.Error(), "none") {
		t.Errorf("no file: %v", err)
	}
	if entries, _ := os.ReadDir(dir); len(entries) > 0 {
		t.Errorf("left: %v", entries)
	}
}
