package inotify

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// A file that takes the place of another one is reported, and one that is removed; a file
// that is being written is not.
func TestWatch(t *testing.T) {
	dir := t.TempDir()
	folder, err := Watch(dir)
	if err != nil {
		t.Fatal(err)
	}
	events, ended := make(chan bool), make(chan error)
	go func() {
		for {
			if err := folder.Next(); err != nil {
				ended <- err
				return
			}
			events <- true
		}
	}()
	draft, file := filepath.Join(dir, "draft"), filepath.Join(dir, "file")
	if err := os.WriteFile(draft, []byte("text"), 0o600); err != nil {
		t.Fatal(err)
	}
	select {
	case <-events:
		t.Error("a file that is not complete yet is reported")
	case <-time.After(20 * time.Millisecond):
	}
	for _, change := range []func() error{func() error { return os.Rename(draft, file) }, func() error { return os.Remove(file) }} {
		if err := change(); err != nil {
			t.Fatal(err)
		}
		select {
		case <-events:
		case <-time.After(30 * time.Second):
			t.Fatal("no event")
		}
	}
	if err := folder.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; !errors.Is(err, os.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}

// A folder that does not exist is an error that says so.
func TestWatchNothing(t *testing.T) {
	if _, err := Watch(filepath.Join(t.TempDir(), "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}
