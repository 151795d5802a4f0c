// Package state keeps the stamps of an interface across restarts: the ceiling of
// those we sent (A20), and the greatest stamp that each peer sent (A21).
//
// Each interface has one file, NAME.stamps, to which records are appended. When
// most of them are outdated, the file is written again under another name and
// then renamed, so that the disk always has a complete one. See format.go.
package state

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"wgd/internal/clock"
	"wgd/internal/wire"
	"wgd/key"
)

const (
	// writeInterval is the minimum time between two writes of peers' stamps (A21).
	writeInterval = time.Second

	// retryLimit is the maximum time between two attempts after errors.
	retryLimit = time.Hour

	// maxOutdated is how many outdated records a file may have, in addition to
	// the number of current ones.
	maxOutdated = 1024
)

// Saved is what the previous process left behind.
type Saved struct {
	Ceiling  wire.TAI64N                // no own stamp may be at or below it; zero: none
	Received map[key.Public]wire.TAI64N // greatest stamp accepted from each peer; owned by the caller
	Warning  string                     // for the administrator; "" if there is none
}

// A Log is the file of one interface. Accepted and Forget only record a change
// in memory and never wait for the disk. The other methods do; call them where
// no packet waits. All methods are safe for concurrent use.
//
// If a file is opened again while a Log has it open, the second one only reads it.
type Log struct {
	mu      sync.Mutex                 // never held during a disk operation
	pending map[key.Public]wire.TAI64N // not yet in contents; zero: forget the peer

	writing  sync.Mutex // guards all fields below
	disk     disk
	path     string
	lock     io.Closer     // of the file; nil: not locked
	contents contents      // what the file should contain
	file     file          // nil before the first write, after Close, and if disabled
	records  int           // in file, including outdated ones
	dirty    bool          // file differs from contents, or must not be appended to
	disabled bool          // never write: closed, or a file exists that we cannot read
	earliest clock.Time    // earliest time of the next write by Flush
	backoff  time.Duration // after the last error
}

// Open reads the file of the interface name in dir, and creates the directory and
// the file if they do not exist. If that fails, it describes the problem in
// Saved.Warning and still returns a usable Log. It returns an error only if name
// cannot be part of a path.
func Open(dir, name string) (*Log, Saved, error) { return open(osDisk{}, dir, name) }

func open(d disk, dir, name string) (*Log, Saved, error) {
	path, err := pathOf(dir, name)
	if err != nil {
		return nil, Saved{}, err
	}
	l := &Log{disk: d, path: path, pending: map[key.Public]wire.TAI64N{}}
	warning := l.begin()
	saved := Saved{Ceiling: l.contents.ceiling, Received: make(map[key.Public]wire.TAI64N, len(l.contents.received)), Warning: warning}
	for public, stamp := range l.contents.received {
		saved.Received[public] = stamp
	}
	return l, saved, nil
}

// begin reads the file and prepares it for appending.
func (l *Log) begin() (warning string) {
	if err := l.disk.makeDir(filepath.Dir(l.path)); err != nil {
		l.disabled = true
		return fmt.Sprintf("%s: cannot make its directory: %v. Therefore %s", l.path, err, notSaved)
	}
	locked, err := l.disk.lock(l.path + ".lock")
	inUse := errors.Is(err, errLocked)
	if err == nil {
		l.lock = locked
	}
	damage, err := l.read()
	switch {
	case inUse:
		l.disabled = true
		return fmt.Sprintf("%s: another program stores the timestamps of its handshakes there, so those of this one will not survive a restart: end the other program, or give one of the two another name", l.path)
	case errors.Is(err, fs.ErrNotExist):
		l.dirty = true
	case errors.Is(err, errHeading):
		l.dirty = true
		warning = l.setAside()
	case err != nil:
		// The file may be intact, so it must not be replaced.
		l.disabled = true
		return fmt.Sprintf("%v. Therefore %s", err, notSaved)
	default:
		l.records = damage.records
		if damage.bad > 0 {
			l.dirty = true
			warning = fmt.Sprintf("%s: %d of %d records are damaged and ignored; the others are used. "+
				"After a crash or a power failure, nothing needs to be done; otherwise check the disk.", l.path, damage.bad, damage.records)
		}
	}
	if err := l.prepare(); err != nil {
		return strings.TrimSpace(fmt.Sprintf("%s %v. Therefore %s", warning, err, notSaved))
	}
	return warning
}

const notSaved = "the timestamps of handshakes will not survive a restart. " +
	"Make that directory and its files accessible to this user, or choose another directory for the state, and start again. " +
	"Until then, keep the clock right: a peer refuses a timestamp older than the last one it accepted."

func (l *Log) read() (damage, error) {
	r, err := l.disk.read(l.path)
	if err != nil {
		return damage{}, err
	}
	defer r.Close()
	var d damage
	l.contents, d, err = load(r)
	return d, err
}

// setAside renames a file with a wrong first line.
func (l *Log) setAside() (warning string) {
	aside := l.path + ".damaged"
	if err := l.disk.rename(l.path, aside); err != nil {
		l.disabled = true
		return fmt.Sprintf("%s is damaged or not a file of timestamps: %v, and it cannot be renamed (%v). Therefore %s", l.path, errHeading, err, notSaved)
	}
	return fmt.Sprintf("%s is damaged or not a file of timestamps: %v. It is ignored and was renamed to %s, and a new file was created. "+
		"Delete the old file, or examine it and check the disk. If peers do not answer, their clock or ours was set back.", l.path, errHeading, aside)
}

// prepare opens the file for appending, or rewrites it.
func (l *Log) prepare() (err error) {
	if l.disabled {
		return nil
	}
	if l.dirty || l.records > 2*l.contents.records()+maxOutdated {
		return l.rewrite()
	}
	if l.file == nil {
		l.file, err = l.disk.openAppend(l.path)
	}
	return l.failed(err)
}

// Reserve makes ceiling durable (A20): if it returns nil, no Open finds a lower
// one, unless Close lowered it. A ceiling not above the last one changes nothing.
// After an error, Flush tries again.
func (l *Log) Reserve(ceiling wire.TAI64N) error {
	l.writing.Lock()
	defer l.writing.Unlock()
	if ceiling.After(l.contents.ceiling) {
		l.contents.ceiling = ceiling
		return l.write(appendRecord(nil, kindCeiling, key.Public{}, ceiling))
	}
	if l.dirty {
		return l.write(nil)
	}
	return nil
}

// Accepted records the greatest stamp of a peer (A21).
func (l *Log) Accepted(public key.Public, stamp wire.TAI64N) { l.add(public, stamp) }

// Forget records that a peer was removed (A21).
func (l *Log) Forget(public key.Public) { l.add(public, wire.TAI64N{}) }

func (l *Log) add(public key.Public, stamp wire.TAI64N) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.pending[public] = stamp
}

// Flush writes the pending changes, at most once a second (A21), and returns when
// to call it again, or Never if nothing is left to write. After an error, it
// keeps the changes, and the times between attempts grow.
func (l *Log) Flush(now clock.Time) (next clock.Time, err error) {
	l.writing.Lock()
	defer l.writing.Unlock()
	if l.disabled {
		l.dropPending()
		return clock.Never, nil
	}
	if !l.dirty && !l.hasPending() {
		return clock.Never, nil
	}
	if now < l.earliest {
		return l.earliest, nil
	}
	if err = l.write(l.takePending()); err != nil {
		l.backoff = min(max(2*l.backoff, writeInterval), retryLimit)
		l.earliest = now.Add(l.backoff)
		return l.earliest, err
	}
	l.backoff = 0
	l.earliest = now.Add(writeInterval)
	return clock.Never, nil
}

// Close writes the pending changes, and lowers the ceiling to last, the greatest
// stamp that was sent. If last is the zero stamp, the ceiling stays. After Close,
// the methods do nothing and return no error.
func (l *Log) Close(last wire.TAI64N) error {
	l.writing.Lock()
	defer l.writing.Unlock()
	defer l.unlock()
	if l.disabled {
		return nil
	}
	records := l.takePending()
	if !last.IsZero() && last != l.contents.ceiling {
		l.contents.ceiling = last
		records = appendRecord(records, kindCeiling, key.Public{}, last)
	}
	var err error
	if l.dirty || len(records) > 0 {
		err = l.write(records)
	}
	l.disabled = true
	if l.file != nil {
		err = errors.Join(err, l.file.Close())
		l.file = nil
	}
	return err
}

// unlock lets another Log have the file.
func (l *Log) unlock() {
	if l.lock != nil {
		l.lock.Close()
		l.lock = nil
	}
}

func (l *Log) hasPending() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.pending) > 0
}

// dropPending forgets the pending changes, which would otherwise pile up while peers
// are added and removed.
func (l *Log) dropPending() {
	l.mu.Lock()
	defer l.mu.Unlock()
	clear(l.pending)
}

// takePending moves the pending changes into contents, and returns their records.
func (l *Log) takePending() (records []byte) {
	l.mu.Lock()
	pending := l.pending
	l.pending = make(map[key.Public]wire.TAI64N)
	l.mu.Unlock()
	for public, stamp := range pending {
		kind := byte(kindStamp)
		if stamp.IsZero() {
			kind = kindForget
		}
		records = appendRecord(records, kind, public, stamp)
		l.contents.set(public, stamp)
	}
	return records
}

// write makes contents durable. records are those of the latest changes.
func (l *Log) write(records []byte) error {
	if l.disabled {
		return nil
	}
	if l.dirty || l.file == nil || l.records > 2*l.contents.records()+maxOutdated {
		return l.rewrite()
	}
	_, err := l.file.Write(records)
	if err == nil {
		err = l.file.Sync()
	}
	l.records += len(records) / recordSize
	return l.failed(err)
}

// rewrite replaces the file with one that has no outdated records. The old file
// exists until the new one is complete.
func (l *Log) rewrite() error {
	if l.file != nil {
		l.file.Close() // an error does not matter, because all is written again
		l.file = nil
	}
	l.dirty = true
	if err := l.disk.makeDir(filepath.Dir(l.path)); err != nil {
		return l.failed(err)
	}
	temporary := l.path + ".new"
	f, err := l.disk.create(temporary)
	if err != nil {
		return l.failed(err)
	}
	if err = l.contents.writeTo(f); err == nil {
		err = f.Sync()
	}
	if err == nil {
		err = l.disk.rename(temporary, l.path)
	}
	if err == nil {
		err = l.disk.syncDir(filepath.Dir(l.path))
	}
	if err != nil {
		f.Close()
		return l.failed(err)
	}
	l.file, l.records, l.dirty = f, l.contents.records(), false
	return nil
}

// failed wraps an error of the disk, and marks the file as dirty: it may end within
// a record, or lack some.
func (l *Log) failed(err error) error {
	if err == nil {
		return nil
	}
	l.dirty = true
	return fmt.Errorf("timestamps of handshakes: %w (will be tried again; until then, the timestamps do not survive a restart)", err)
}
