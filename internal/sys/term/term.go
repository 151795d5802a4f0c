// Package term distinguishes terminals from other files.
package term

import "os"

// Is reports whether the file is a terminal.
func Is(f *os.File) bool {
	conn, err := f.SyscallConn()
	if err != nil {
		return false
	}
	terminal := false
	err = conn.Control(func(fd uintptr) { terminal = isTerminal(fd) })
	return err == nil && terminal
}
