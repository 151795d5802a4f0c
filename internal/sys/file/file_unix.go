//go:build unix

package file

import (
	"io/fs"
	"os"
	"syscall"
)

// ReadableByOthers reports whether others than its owner may read the regular file. A
// key in such a file is used, with a warning.
func ReadableByOthers(info fs.FileInfo) bool {
	return info.Mode().IsRegular() && info.Mode().Perm()&0o044 != 0
}

// takeOwner gives the draft the owner and the group of the file.
func takeOwner(draft *os.File, like fs.FileInfo) error {
	of := like.Sys().(*syscall.Stat_t)
	return draft.Chown(int(of.Uid), int(of.Gid))
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
