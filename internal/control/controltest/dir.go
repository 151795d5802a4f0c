package controltest

import (
	"os"
	"testing"
)

// UseTempDir puts the control sockets of a test in a folder of its own: dir is
// &control.Dir. Its path is short, because the path of a socket has at most 107
// bytes.
func UseTempDir(t testing.TB, dir *string) {
	t.Helper()
	temp, err := os.MkdirTemp("", "wgd")
	if err != nil {
		t.Fatal(err)
	}
	was := *dir
	*dir = temp
	t.Cleanup(func() {
		*dir = was
		os.RemoveAll(temp)
	})
}
