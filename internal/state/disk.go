package state

import (
	"errors"
	"io"
	"io/fs"
	"os"
)

// disk is what a Log needs of a file system. What it writes is on the disk for
// certain only after a sync, names after a sync of their directory.
type disk interface {
	makeDir(dir string) error
	read(path string) (io.ReadCloser, error) // fs.ErrNotExist when there is none
	openAppend(path string) (file, error)    // appends to what is there
	create(path string) (file, error)        // empty, whatever was there
	rename(from, to string) error            // in one step
	syncDir(dir string) error
}

type file interface {
	io.WriteCloser
	Sync() error
}

// osDisk is the true one. Its files are for their owner alone: they tell who
// talks with whom.
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
	if !info.Mode().IsRegular() { // a pipe would keep us waiting
		return nil, &fs.PathError{Op: "open", Path: path, Err: errors.New("not a regular file")}
	}
	return os.Open(path)
}

func (osDisk) openAppend(path string) (file, error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return nil, err
	}
	if err := f.Chmod(fileMode); err != nil { // somebody may have copied it here
		f.Close()
		return nil, err
	}
	return f, nil
}

func (osDisk) create(path string) (file, error) {
	// Not opened with O_TRUNC: what is there may have another mode, or be a link.
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
