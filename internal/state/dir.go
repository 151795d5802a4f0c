package state

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

const (
	rootDir = "/var/lib/wgd"
	suffix  = ".stamps"
)

// DefaultDir is where the files are: /var/lib/wgd for root; for everybody else
// $XDG_STATE_HOME/wgd, or ~/.local/state/wgd where that is not set (A21).
func DefaultDir() string {
	home, _ := os.UserHomeDir()
	return defaultDir(os.Geteuid(), os.Getenv("XDG_STATE_HOME"), home)
}

// defaultDir passes over relative paths, as the XDG rules ask. Who has neither
// variable nor home gets root's directory, and a warning when it turns out not
// to be writable.
func defaultDir(uid int, xdg, home string) string {
	switch {
	case uid == 0:
		return rootDir
	case filepath.IsAbs(xdg):
		return filepath.Join(xdg, "wgd")
	case filepath.IsAbs(home):
		return filepath.Join(home, ".local", "state", "wgd")
	}
	return rootDir
}

// pathOf is the file of an interface.
func pathOf(dir, name string) (string, error) {
	if name == "" || name == "." || name == ".." || strings.ContainsAny(name, "/\\\x00") {
		return "", fmt.Errorf("interface %q: a name has at least one character, no slash, and is neither %q nor %q", name, ".", "..")
	}
	return filepath.Join(dir, name+suffix), nil
}
