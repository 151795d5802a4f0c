package file

import (
	"io/fs"
	"os"
)

// ReadableByOthers returns false: the mode of a file says nothing here. Its access control
// list decides, which files inherit from the folder; that of a user's own folders
// lets nobody else read except for administrators.
func ReadableByOthers(fs.FileInfo) bool { return false }

// takeOwner does nothing: a new file belongs to its user, with the permissions of the
// folder.
func takeOwner(*os.File, fs.FileInfo) error { return nil }

// syncFolder does nothing: Windows does not sync folders.
func syncFolder(string) error { return nil }
