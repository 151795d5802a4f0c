package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"time"

	"wgd/conf"
	"wgd/internal/history"
	"wgd/internal/quote"
	"wgd/internal/sys/flock"
	"wgd/internal/uapi"
)

const (
	// maxEventLog is the size from which the file of wgd watch --log is replaced, and
	// keptEventLogs how many earlier ones are kept.
	maxEventLog   = 10 << 20
	keptEventLogs = 5

	// logRetry is the time between two attempts to write to it.
	logRetry = time.Second

	// lockAttempts is how often its lock is tried, and lockPause the time between.
	lockAttempts = 10
	lockPause    = 50 * time.Millisecond
)

// An eventLog is the file of wgd watch --log.
type eventLog struct {
	path  string
	limit int64
	warn  func(format string, args ...any)

	mu     sync.Mutex
	file   *os.File // nil: it must be opened
	size   int64    // of the complete lines
	failed bool
	seen   map[string]position // the last event of each interface
}

// openEventLog opens the file, and finds out what it has.
func openEventLog(path string, warn func(format string, args ...any)) (*eventLog, error) {
	l := &eventLog{path: path, limit: maxEventLog, warn: warn, seen: map[string]position{}}
	if err := l.open(); err != nil { // it is locked before it is read
		return nil, fmt.Errorf("%s: %w: choose another file", quote.Path(path), plain(err))
	}
	for _, name := range []string{path + ".1", path} {
		if err := l.scan(name); err != nil {
			l.close()
			return nil, fmt.Errorf("%s: %w: choose another file", quote.Path(name), plain(err))
		}
	}
	return l, nil
}

// scan reads the positions in a file, and ignores what is no event.
func (l *eventLog) scan(name string) error {
	file, err := os.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 16*uapi.MaxLine)
	for lines.Scan() {
		if e, err := history.Parse(lines.Bytes()); err == nil && e.Run != "" {
			l.seen[e.Interface] = position{e.Run, e.Event.Seq}
		}
	}
	return lines.Err()
}

// open opens the file. What follows the last complete line, after a crash, is removed.
func (l *eventLog) open() error {
	file, err := os.OpenFile(l.path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	err = lockLog(file)
	var info fs.FileInfo
	if err == nil {
		info, err = file.Stat()
	}
	if err == nil {
		var now fs.FileInfo
		if now, err = os.Stat(l.path); err == nil && !os.SameFile(info, now) {
			err = errLogWriter // which has just renamed the file
		}
	}
	if err == nil {
		l.size, err = completeLines(file, info.Size())
	}
	if err == nil && l.size < info.Size() {
		err = file.Truncate(l.size)
	}
	if err != nil {
		file.Close()
		return err
	}
	l.file = file
	return nil
}

var errLogWriter = errors.New("another wgd watch writes to it")

// lockLog locks the file, so that no other wgd watch writes to it, and wgd history knows
// that it is still being written. A wgd history that looks may hold the lock for a moment.
func lockLog(file *os.File) error {
	for attempt := 1; ; attempt++ {
		err := flock.TryOpen(file)
		switch {
		case err == nil:
			return nil
		case !errors.Is(err, flock.ErrLocked):
			return fmt.Errorf("lock: %w", err)
		case attempt == lockAttempts:
			return errLogWriter
		}
		time.Sleep(lockPause)
	}
}

// completeLines returns the end of the last complete line of a file.
func completeLines(file *os.File, size int64) (int64, error) {
	b := make([]byte, 1)
	for ; size > 0; size-- {
		if _, err := file.ReadAt(b, size-1); err != nil {
			return 0, err
		}
		if b[0] == '\n' {
			break
		}
	}
	return size, nil
}

func (l *eventLog) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file != nil {
		l.file.Close()
	}
}

func (l *eventLog) last(name string) (position, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	at, ok := l.seen[name]
	return at, ok
}

// start notes that events are kept from now on, so that a reader of the file knows that
// none were kept before.
func (l *eventLog) start(ctx context.Context, name string) error {
	at, _ := l.last(name)
	return l.put(ctx, name, at.run, &conf.Event{Seq: at.seq, Time: time.Now(), Kind: conf.WatchStarted})
}

// put appends an event. It tries until that succeeds or ctx is done. Meanwhile the
// daemon keeps the events that follow.
func (l *eventLog) put(ctx context.Context, name, run string, e *conf.Event) error {
	line, err := eventJSON(name, run, e)
	if err != nil {
		return err
	}
	for {
		err := l.append(line)
		if l.report(err) {
			return nil
		}
		if !sleep(ctx, logRetry) {
			return nil
		}
	}
}

// report warns when writing begins to fail, and when it works again. It returns whether
// it worked.
func (l *eventLog) report(err error) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case err != nil && !l.failed:
		l.warn("%s: %v: events are not written; trying again each second", quote.Path(l.path), plain(err))
	case err == nil && l.failed:
		l.warn("%s: events are written again", quote.Path(l.path))
	}
	l.failed = err != nil
	return err == nil
}

// append appends a whole line, or nothing.
func (l *eventLog) append(line []byte) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file == nil {
		if err := l.open(); err != nil {
			return err
		}
	}
	if l.size > 0 && l.size+int64(len(line)) > l.limit {
		if err := l.rotate(); err != nil {
			return err
		}
	}
	if _, err := l.file.WriteAt(line, l.size); err != nil {
		return errors.Join(err, l.file.Truncate(l.size))
	}
	l.size += int64(len(line))
	return nil
}

// rotate renames the file and its predecessors, and opens a new one.
func (l *eventLog) rotate() error {
	numbered := func(n int) string {
		if n == 0 {
			return l.path
		}
		return fmt.Sprintf("%s.%d", l.path, n)
	}
	for n := keptEventLogs - 1; n >= 0; n-- {
		if err := os.Rename(numbered(n), numbered(n+1)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	l.file.Close()
	l.file = nil
	return l.open()
}
