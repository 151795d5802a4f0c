// Package unixsocket makes unix sockets that only their owner may use, and a group if it is
// admitted. It tells who has connected.
package unixsocket

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
)

// maxPath is the maximum length of the path of a socket, in bytes: that of Linux. On other
// systems it is a few bytes less.
const maxPath = 107

// maxFolder is the maximum length of the folder of a socket, which is first made in a folder
// of its own there.
const maxFolder = maxPath - len("/.new-4294967295/s")

// Make listens on a socket with mode 0600, or 0660 for a group (nil: none). It replaces what
// is at the path, so the caller looks first. The socket is made in a folder that no other
// user may enter, gets its group and mode, and then moves to its path. Closing the listener
// does not remove it.
func Make(path string, group *Group) (*net.UnixListener, error) {
	if Unsupported != nil {
		return nil, Unsupported
	}
	dir := filepath.Dir(path)
	if len(dir) > maxFolder || len(path) > maxPath {
		return nil, fmt.Errorf("%s: the path of a unix socket has at most %d bytes, and that of its folder %d: choose a shorter one", path, maxPath, maxFolder)
	}
	private, err := os.MkdirTemp(dir, ".new-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(private)
	temporary := filepath.Join(private, "s")
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: temporary, Net: "unix"})
	if err != nil {
		return nil, err
	}
	listener.SetUnlinkOnClose(false)
	err = os.Chmod(temporary, 0o600)
	if err == nil && group != nil {
		err = admit(temporary, *group)
	}
	if err == nil {
		err = os.Rename(temporary, path)
	}
	if err != nil {
		listener.Close()
		return nil, err
	}
	return listener, nil
}
