//go:build unix

package process

import (
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
)

// RuntimeDir returns dir if this user may write to it, or may make it. Otherwise it
// returns the folder of the same name in $XDG_RUNTIME_DIR, or dir if that variable does
// not name a folder that belongs to this user and that nobody else may write to.
func RuntimeDir(dir string) string {
	own := os.Getenv("XDG_RUNTIME_DIR")
	if !filepath.IsAbs(own) || Writable(dir) {
		return dir
	}
	info, err := os.Stat(own)
	if err != nil || !info.IsDir() || info.Mode().Perm()&0o022 != 0 {
		return dir
	}
	if owner, ok := info.Sys().(*syscall.Stat_t); !ok || int(owner.Uid) != os.Geteuid() {
		return dir
	}
	return filepath.Join(own, filepath.Base(dir))
}

// Writable reports whether this user may make files in dir, or if there is no such
// folder, may make it.
func Writable(dir string) bool {
	err := unix.Access(dir, unix.W_OK|unix.X_OK)
	for err == unix.ENOENT && dir != "/" {
		dir = filepath.Dir(dir)
		err = unix.Access(dir, unix.W_OK|unix.X_OK)
	}
	return err == nil
}
