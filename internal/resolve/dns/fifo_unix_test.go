//go:build unix

package dns

import (
	"path/filepath"
	"syscall"
	"testing"
)

// A file that is no regular file is as good as none, and does not make a lookup
// wait.
func TestNoRegularFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{path, filepath.Dir(path), "/nowhere"} {
		f := file[string]{path: path, parse: func(text string) string { return "(" + text + ")" }}
		if got := *f.read(); got != "()" {
			t.Errorf("%s: %q", path, got)
		}
	}
}
