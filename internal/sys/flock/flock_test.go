package flock

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
)

// The file of a temporary lock is gone when nobody holds it, and holders never overlap,
// although each removes the file under those who wait for it.
func TestTemporary(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	held, err := TryTemporary(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := TryTemporary(path); !errors.Is(err, ErrLocked) {
		t.Errorf("a second holder: got %v, want ErrLocked", err)
	}
	var holders, overlaps atomic.Int32
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 200 {
				l, err := ExclusiveTemporary(path)
				if err != nil {
					t.Error(err)
					return
				}
				if holders.Add(1) != 1 {
					overlaps.Add(1)
				}
				holders.Add(-1)
				if err := l.Close(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	held.Close()
	all.Wait()
	if overlaps.Load() != 0 {
		t.Errorf("%d times, two held the lock", overlaps.Load())
	}
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the file is left: %v", err)
	}
}

// A reader sees whether a file that is open elsewhere is locked, and leaves no lock.
func TestHeld(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	open := func(flags int) *os.File {
		t.Helper()
		f, err := os.OpenFile(path, flags|os.O_CREATE, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { f.Close() })
		return f
	}
	writer, reader, second := open(os.O_RDWR), open(os.O_RDONLY), open(os.O_RDWR)
	expect := func(want bool) {
		t.Helper()
		if held, err := Held(reader); err != nil || held != want {
			t.Errorf("held: got %v, %v, want %v", held, err, want)
		}
	}
	expect(false)
	looking := open(os.O_RDONLY)
	if err := lock(looking, true, false); err != nil {
		t.Fatal(err)
	}
	expect(false) // others that look do not count
	looking.Close()
	if err := TryOpen(writer); err != nil {
		t.Fatal(err)
	}
	expect(true)
	if err := TryOpen(second); err != ErrLocked {
		t.Errorf("a second writer: got %v, want ErrLocked", err)
	}
	writer.Close()
	expect(false)
	if err := TryOpen(second); err != nil {
		t.Errorf("after the first has ended: %v", err)
	}
}
