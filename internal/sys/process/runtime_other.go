//go:build !unix

package process

// RuntimeDir returns dir.
func RuntimeDir(dir string) string { return dir }

// Writable returns true: this system does not tell.
func Writable(string) bool { return true }
