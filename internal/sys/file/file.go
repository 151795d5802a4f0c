// Package file replaces files, and says who may read them.
package file

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// Replace replaces the content of a file that exists, in one step: a reader finds the
// old content or the new one, also after a crash. The file keeps its mode and its owner. A
// symbolic link is followed, and stays.
func Replace(path string, text []byte) error {
	target, err := filepath.EvalSymlinks(path)
	if err != nil {
		return err
	}
	before, err := os.Stat(target)
	if err != nil {
		return err
	}
	draft, err := os.CreateTemp(filepath.Dir(target), "."+filepath.Base(target)+".")
	if err != nil {
		return err
	}
	err = errors.Join(write(draft, text, before), draft.Close())
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
func write(draft *os.File, text []byte, like fs.FileInfo) error {
	if _, err := draft.Write(text); err != nil {
		return err
	}
	if err := takeOwner(draft, like); err != nil {
		return err
	}
	if err := draft.Chmod(like.Mode()); err != nil {
		return err
	}
	return draft.Sync()
}
