package file

import (
	"errors"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Replace replaces the content of a file that exists, in one step: who reads it finds the
// old content or the new one, also after a crash. The file keeps its mode and its owner. A
// symbolic link is followed, and stays.
func Replace(path string, text []byte) error {
	target, err := filepath.EvalSymlinks(path)
	if err != nil {
		return err
	}
	var before unix.Stat_t
	if err := unix.Stat(target, &before); err != nil {
		return &os.PathError{Op: "stat", Path: target, Err: err}
	}
	draft, err := os.CreateTemp(filepath.Dir(target), "."+filepath.Base(target)+".")
	if err != nil {
		return err
	}
	err = errors.Join(write(draft, text, &before), draft.Close())
	if err == nil {
		err = os.Rename(draft.Name(), target)
	}
	if err != nil {
		return errors.Join(err, os.Remove(draft.Name()))
	}
	return syncFolder(filepath.Dir(target))
}

// write writes the draft, which only its owner can read until it has the owner and the
// mode of the file.
func write(draft *os.File, text []byte, like *unix.Stat_t) error {
	if _, err := draft.Write(text); err != nil {
		return err
	}
	if err := draft.Chown(int(like.Uid), int(like.Gid)); err != nil {
		return err
	}
	const permissions = 0o7777
	if err := unix.Fchmod(int(draft.Fd()), uint32(like.Mode)&permissions); err != nil {
		return &os.PathError{Op: "chmod", Path: draft.Name(), Err: err}
	}
	return draft.Sync()
}

// syncFolder makes the new name of a file survive a crash.
func syncFolder(path string) error {
	folder, err := os.Open(path)
	if err != nil {
		return err
	}
	defer folder.Close()
	return folder.Sync()
}
