package inotify

import (
	"os"

	"golang.org/x/sys/unix"
)

// A Folder is a folder that is watched.
type Folder struct{ events *os.File }

// Watch begins to watch a folder. The error wraps fs.ErrNotExist if there is none.
func Watch(path string) (*Folder, error) {
	// Non-blocking, so that a read waits in Go's poller, and ends when the file is closed.
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return nil, os.NewSyscallError("inotify_init1", err)
	}
	events := os.NewFile(uintptr(fd), "inotify")
	if _, err := unix.InotifyAddWatch(fd, path, unix.IN_MOVED_TO|unix.IN_DELETE|unix.IN_ONLYDIR); err != nil {
		events.Close()
		return nil, &os.PathError{Op: "watch", Path: path, Err: err}
	}
	return &Folder{events}, nil
}

// Next waits until a file was renamed to a name in the folder, or removed from there, since
// Watch or the last Next. It may return although nothing has changed. The error wraps
// os.ErrClosed after Close.
func (f *Folder) Next() error {
	// The largest event has a name of NAME_MAX bytes. Several can come at once.
	buffer := make([]byte, 16*(unix.SizeofInotifyEvent+unix.NAME_MAX+1))
	_, err := f.events.Read(buffer)
	return err
}

// Close makes Next return, also in another goroutine.
func (f *Folder) Close() error { return f.events.Close() }
