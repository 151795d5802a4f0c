package main

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// A named pipe is written to, and stays.
func TestHistorySVGToPipe(t *testing.T) {
	path, _ := writeHistory(t)
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	reader, err := os.OpenFile(pipe, os.O_RDWR, 0) // the drawing fits into its buffer
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	if status, _, errs := run("history", "wg0", "--log", path, "--svg", pipe); status != 0 {
		t.Errorf("exit status %d, %s", status, errs)
	}
	start := make([]byte, len("<svg "))
	if info, err := os.Lstat(pipe); err != nil || info.Mode().IsRegular() {
		t.Errorf("the pipe was replaced: %v, %v", info, err)
	} else if _, err := reader.Read(start); err != nil || string(start) != "<svg " {
		t.Errorf("the pipe has %q, %v", start, err)
	}
}
