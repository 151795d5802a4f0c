package dns

import (
	"io"
	"os"
	"sync"
	"time"
)

// maxFile is how much of a configuration file is read. Lists of blocked hosts in
// /etc/hosts have a few megabytes.
const maxFile = 16 << 20

// settled is how old a change of a file must be before its time proves that there
// was no later one: the clock of a file system is coarse.
const settled = 2 * time.Second

// A file is a configuration file with what was read from it, which is read again
// when it has changed. Any goroutine may use it.
type file[T any] struct {
	path  string
	parse func(text string) T // gets "" for a file that is not there

	mu     sync.Mutex
	info   os.FileInfo // of the file that was read; nil: there was none, or it may have changed
	parsed *T
}

// read returns what the file says now. The result is shared and must not be changed.
func (f *file[T]) read() *T {
	f.mu.Lock()
	defer f.mu.Unlock()
	info, err := os.Stat(f.path)
	if err != nil || !info.Mode().IsRegular() { // to open a FIFO could take forever
		return f.keep(nil, "")
	}
	if f.info != nil && os.SameFile(info, f.info) && info.ModTime().Equal(f.info.ModTime()) && info.Size() == f.info.Size() {
		return f.parsed
	}
	text, err := f.text()
	if err != nil {
		return f.keep(nil, "")
	}
	if time.Since(info.ModTime()) < settled {
		info = nil
	}
	return f.keep(info, string(text))
}

func (f *file[T]) keep(info os.FileInfo, text string) *T {
	parsed := f.parse(text)
	f.info, f.parsed = info, &parsed
	return f.parsed
}

func (f *file[T]) text() ([]byte, error) {
	opened, err := os.Open(f.path)
	if err != nil {
		return nil, err
	}
	defer opened.Close()
	return io.ReadAll(io.LimitReader(opened, maxFile))
}
