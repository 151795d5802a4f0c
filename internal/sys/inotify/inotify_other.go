//go:build !linux

package inotify

import (
	"errors"
	"os"
)

// A Folder is a folder that is watched. Only Linux has inotify.
type Folder struct{}

// Watch returns an error.
func Watch(path string) (*Folder, error) {
	return nil, &os.PathError{Op: "watch", Path: path, Err: errors.ErrUnsupported}
}

// Next returns an error.
func (*Folder) Next() error { return errors.ErrUnsupported }

// Close does nothing.
func (*Folder) Close() error { return nil }
