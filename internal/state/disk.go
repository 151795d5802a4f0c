package state

import (
	"errors"
	"io"
	"io/fs"
	"os"

	"wgd/internal/sys/flock"
)

// disk is what a Log needs of a file system. Data is durable only after a sync of
// its file, a name only after a sync of its directory.
type disk interface {
	makeDir(dir string) error
	read(path string) (io.ReadCloser, error) // fs.ErrNotExist if there is no file
	openAppend(path string) (file, error)    // opens an existing file to append to it
	create(path string) (file, error)        // creates an empty file in place of any other
	rename(from, to string) error            // atomically
	syncDir(dir string) error
	lock(path string) (io.Closer, error) // until it is closed; errLocked if another Log has it
}

// errLocked is the error of a lock that another Log has.
var errLocked = flock.ErrLocked

type file interface {
	io.WriteCloser
	Sync() error
}

// osDisk is the disk of the operating system. Only the owner may read its files,
// because they reveal which peers communicate.
type osDisk struct{}

const (
	dirMode  fs.FileMode = 0o700
	fileMode fs.FileMode = 0o600
)

func (osDisk) makeDir(dir string) error { return os.MkdirAll(dir, dirMode) }

func (osDisk) read(path string) (io.ReadCloser, error) {
	info, err := os.Lstat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() { // a read from a pipe would block
		return nil, &fs.PathError{Op: "open", Path: path, Err: errors.New("not a regular file")}
	}
	return os.Open(path)
}

func (osDisk) openAppend(path string) (file, error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return nil, err
	}
	if err := f.Chmod(fileMode); err != nil { // a copied file may have another mode
		f.Close()
		return nil, err
	}
	return f, nil
}

func (osDisk) create(path string) (file, error) {
	// Not O_TRUNC: an existing file may have another mode, or be a link.
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	return os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE|os.O_EXCL, fileMode)
}

func (osDisk) rename(from, to string) error { return os.Rename(from, to) }

func (osDisk) syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

func (osDisk) lock(path string) (io.Closer, error) { return flock.TryTemporary(path) }
