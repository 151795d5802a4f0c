// Package process has what a daemon needs of the system: to leave the terminal
// that started it, to take over open files, and to hear that it shall end.
package process

import "os"

// Inherited is the open file with that descriptor number, given by whoever
// started this process.
func Inherited(fd int, name string) *os.File { return os.NewFile(uintptr(fd), name) }
