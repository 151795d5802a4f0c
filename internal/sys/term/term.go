// Package term distinguishes terminals from other files, tells their size, and switches
// them for programs that draw on the whole screen.
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

// Size returns how many columns and rows a terminal has; 0 means that it is not known.
func Size(f *os.File) (columns, rows int) {
	conn, err := f.SyscallConn()
	if err != nil {
		return 0, 0
	}
	if conn.Control(func(fd uintptr) { columns, rows = size(fd) }) != nil {
		return 0, 0
	}
	return columns, rows
}
