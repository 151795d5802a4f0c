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
