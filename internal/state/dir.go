package state

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"wgd/internal/sys/process"
)

const (
	rootDir = "/var/lib/wgd"
	suffix  = ".stamps"
)

// DefaultDir returns the directory of the files: /var/lib/wgd for root; for other
// users $XDG_STATE_HOME/wgd, or ~/.local/state/wgd if that is not set (A21). The root
// of a user namespace who cannot write to /var/lib/wgd is such another user.
func DefaultDir() string {
	home, _ := os.UserHomeDir()
	root := os.Geteuid() == 0 && process.Writable(rootDir)
	return defaultDir(root, os.Getenv("XDG_STATE_HOME"), home)
}

// defaultDir ignores relative paths, as the XDG specification requires. A user
// with neither variable nor home gets root's directory; Open then warns that it
// is not writable.
func defaultDir(root bool, xdg, home string) string {
	switch {
	case root:
		return rootDir
	case filepath.IsAbs(xdg):
		return filepath.Join(xdg, "wgd")
	case filepath.IsAbs(home):
		return filepath.Join(home, ".local", "state", "wgd")
	}
	return rootDir
}

// pathOf returns the path of an interface's file.
func pathOf(dir, name string) (string, error) {
	if name == "" || name == "." || name == ".." || strings.ContainsAny(name, "/\\\x00") {
		return "", fmt.Errorf("interface %q: a name has at least one character, no slash, and is neither %q nor %q", name, ".", "..")
	}
	return filepath.Join(dir, name+suffix), nil
}
