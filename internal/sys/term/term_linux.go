package term

import (
	"os"

	"golang.org/x/sys/unix"
)

// Is reports whether the file is a terminal.
func Is(f *os.File) bool {
	conn, err := f.SyscallConn()
	if err != nil {
		return false
	}
	terminal := false
	err = conn.Control(func(fd uintptr) {
		_, errno := unix.IoctlGetTermios(int(fd), unix.TCGETS)
		terminal = errno == nil
	})
	return err == nil && terminal
}
