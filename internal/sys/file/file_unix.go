//go:build unix

package file

import (
	"io/fs"
	"os"
	"syscall"
)

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
