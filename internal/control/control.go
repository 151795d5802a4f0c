// Package control implements both ends of the control socket, through which a
// running interface is configured and its state is read. It is a unix socket in
// /var/run/wireguard, and its language is the cross-platform protocol of
// wireguard-tools (internal/uapi). Target is all that the server needs of the
// interface.
package control

import (
	"context"
	"iter"
	"os"
	"path/filepath"
	"strings"

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

// A Reloader is a Target that has a file of its own and can read it again.
type Reloader interface {
	// Reload makes the Target what the file says now. The error is a sentence for the
	// user.
	Reload() error
}

// A Summarizer is a Target that can add up what it has done without a Status.
type Summarizer interface {
	Summary() conf.Summary
}

// A Watcher is a Target that reports what happens to it.
type Watcher interface {
	// EventsAfter returns the events after a number, and then those that happen, until
	// ctx is done or the interface has ended. The first is of kind conf.EventsBegin. The
	// number conf.FromNow stands for the last event so far. If there was no event with
	// that number yet, the number is of an earlier run of the daemon, and the events
	// begin with the first of this run. It must not wait for the reader, for which it
	// keeps the latest 1,024 events at least.
	EventsAfter(ctx context.Context, seq uint64) iter.Seq[conf.Event]
	// LastEvent returns the number of the last event so far, or 0.
	LastEvent() uint64
}

// A Wanter is a Target that reports what arrives for peers that it does not have.
type Wanter interface {
	// Wants returns the wants that come up, until ctx is done or the interface has
	// ended. The first is of kind conf.WantsBegin. It must not wait for the reader.
	Wants(ctx context.Context) iter.Seq[conf.Want]
	// Refuse says that nobody adds the peer of a want.
	Refuse(conf.Refusal)
}

// A Recorder is a Target that wants to know who changes its configuration.
type Recorder interface {
	// ApplyBy is Apply, with the process that requests the change.
	ApplyBy(conf.Caller, conf.Change) error
}

// Dir is the directory of the sockets. Only tests change it. A user who cannot
// write there has the sockets in $XDG_RUNTIME_DIR/wireguard, which wg does not
// find: its directory is compiled in.
var Dir = "/var/run/wireguard"

const suffix = ".sock"

// SocketPath returns the path of an interface's socket, or what a user wrote if that
// is the path of a socket itself.
func SocketPath(name string) string {
	if isPath(name) {
		return name
	}
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

// isPath reports whether a user wrote the path of a socket rather than a name.
func isPath(name string) bool {
	return strings.Contains(name, "/") && strings.HasSuffix(name, suffix)
}

// nameOf returns the name of the interface for what a user wrote.
func nameOf(name string) (string, error) {
	if isPath(name) {
		name = strings.TrimSuffix(filepath.Base(name), suffix)
	}
	return name, conf.ValidInterfaceName(name)
}
