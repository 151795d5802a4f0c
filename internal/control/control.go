// Package control is the door through which an interface is configured and
// looked at while it runs: a unix socket in /var/run/wireguard, on which the
// interface's daemon speaks wireguard-tools' cross-platform protocol
// (internal/uapi). Here are both its ends, and Target, all that the socket
// needs of the interface behind it.
package control

import (
	"path/filepath"

	"wgd/conf"
)

// Target is the interface behind the socket.
type Target interface {
	// Apply makes the whole Change or, on an error, nothing of it (A59). The
	// error is a sentence for the person who asked. The keys in the Change are
	// erased afterwards: what is kept of them is a clone.
	Apply(conf.Change) error
	// Status is a consistent copy (A60), whose keys the caller erases.
	Status() conf.Status
}

// Dir is where the sockets are. It is a variable for tests only, and not an
// environment's: wg looks nowhere else.
var Dir = "/var/run/wireguard"

const suffix = ".sock"

// SocketPath is where the socket of that interface is.
func SocketPath(name string) string {
	return filepath.Join(Dir, name+suffix)
}
