// Package control implements both ends of the control socket, through which a
// running interface is configured and its state is read. It is a unix socket in
// /var/run/wireguard, and its language is the cross-platform protocol of
// wireguard-tools (internal/uapi). Target is all that the server needs of the
// interface.
package control

import (
	"os"
	"path/filepath"

	"wgd/conf"
	"wgd/internal/sys/process"
)

// A Target is the interface that a socket belongs to.
type Target interface {
	// Apply makes all changes or, if it returns an error, none (A59). The error
	// is a sentence for the user. The server erases the keys in the Change
	// afterwards, so Apply must clone those that it keeps.
	Apply(conf.Change) error
	// Status returns a consistent copy of the state (A60). The caller erases the
	// keys in it.
	Status() conf.Status
}

// Dir is the directory of the sockets. Only tests change it. A user who cannot
// write there has the sockets in $XDG_RUNTIME_DIR/wireguard, which wg does not
// find: its directory is compiled in.
var Dir = "/var/run/wireguard"

const suffix = ".sock"

// SocketPath returns the path of an interface's socket.
func SocketPath(name string) string {
	for _, dir := range dirs() {
		path := filepath.Join(dir, name+suffix)
		if _, err := os.Lstat(path); err == nil {
			return path
		}
	}
	return filepath.Join(Dir, name+suffix)
}

// dirs returns the directories in which a socket may be, the one in which this
// user makes sockets first.
func dirs() []string {
	own := process.RuntimeDir(Dir)
	if own == Dir {
		return []string{Dir}
	}
	return []string{own, Dir}
}
