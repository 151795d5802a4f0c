// Package state keeps an interface's stamps over a restart: the ceiling of
// those we sent (A20), and the greatest that each peer sent (A21).
//
// Each interface has one file, NAME.stamps, to which records are appended. When
// most of them are outdated it is written anew under another name and renamed,
// so that at every moment the disk has a whole one. See format.go.
package state

import (
	"errors"
	"fmt"
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
	// writeInterval is the least time between two writes of notes (A21).
	writeInterval = time.Second

	// retryLimit is the most time between two attempts at a disk that refuses.
	retryLimit = time.Hour

	// maxOutdated is how many outdated records a file may have however few others.
	maxOutdated = 1024
)

// Saved is what the last process left behind.
type Saved struct {
	Ceiling  wire.TAI64N                // no own stamp at or below it; zero: none
	Received map[key.Public]wire.TAI64N // the greatest accepted from each peer; the caller's
	Warning  string                     // for the person in charge; "" when all is well
}

// Log is the file of one interface. Accepted and Forget only take note and
// never wait for the disk. The others do; they are for a goroutine that nobody
// waits for. All may be called by several at once.
//
// Two processes must not have the same Log open: that is for the one who opens
// it to see to.
type Log struct {
	mu      sync.Mutex // never held while the disk works
	pending map[key.Public]wire.TAI64N

	writing  sync.Mutex // for all below
	disk     disk
	path     string
	contents contents      // what the disk is to have
	file     file          // nil before the first write, after the last, and when off
	records  int           // in file, outdated ones too
	dirty    bool          // file does not say what kept does, or is unfit to be appended to
	disabled bool          // nothing is written: closed, or there may be a file that we cannot read
	earliest clock.Time    // of the next write of notes
	backoff  time.Duration // after a failure
}

// Open reads the file of the interface name in dir. It makes the directory and
// the file where there is none. Whatever is wrong with them stands in
// Saved.Warning, and the Log can be used all the same; the error is a name that
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

// begin reads the file and makes it fit to be appended to.
func (l *Log) begin() (warning string) {
	if err := l.disk.makeDir(filepath.Dir(l.path)); err != nil {
		l.disabled = true
		return fmt.Sprintf("%s has no directory: %v. Therefore %s", l.path, err, notSaved)
	}
	damage, err := l.read()
	switch {
	case errors.Is(err, fs.ErrNotExist):
		l.dirty = true
	case errors.Is(err, errHeading):
		l.dirty = true
		warning = l.setAside()
	case err != nil:
		// It may be good, so it must not be replaced.
		l.disabled = true
		return fmt.Sprintf("%v. Therefore %s", err, notSaved)
	default:
		l.records = damage.records
		if damage.bad > 0 {
			l.dirty = true
			warning = fmt.Sprintf("%s: %d of %d records are damaged and left out; the others are used. "+
				"After a crash or a power failure nothing needs to be done; otherwise check the disk.", l.path, damage.bad, damage.records)
		}
	}
	if err := l.prepare(); err != nil {
		return strings.TrimSpace(fmt.Sprintf("%s %v. Therefore %s", warning, err, notSaved))
	}
	return warning
}

const notSaved = "the time stamps of handshakes are not kept over a restart. " +
	"Make that directory and what is in it accessible to this user, or choose another one for the state, and start again; " +
	"until then keep the clock right: a peer refuses stamps older than the last it had."

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

// setAside renames a file that is none of ours, or damaged from its beginning.
func (l *Log) setAside() (warning string) {
	aside := l.path + ".damaged"
	if err := l.disk.rename(l.path, aside); err != nil {
		l.disabled = true
		return fmt.Sprintf("%s is damaged or not a file of stamps: %v, and it cannot be renamed (%v): %s", l.path, errHeading, err, notSaved)
	}
	return fmt.Sprintf("%s is damaged or not a file of stamps: %v. It is ignored; it is now %s, and a new one was begun. "+
		"Delete it, or look into it and at the disk. If peers do not answer, their clock or ours was set back.", l.path, errHeading, aside)
}

// prepare makes file one that can be appended to.
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

// Reserve makes the disk keep ceiling (A20): when it returns nil, no Open finds
// a lower one, unless Close lowered it. One that is not above the last changes
// nothing. After an error Flush tries again.
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

// Accepted notes the greatest stamp of a peer (A21).
func (l *Log) Accepted(public key.Public, stamp wire.TAI64N) { l.add(public, stamp) }

// Forget notes that a peer is no more (A21).
func (l *Log) Forget(public key.Public) { l.add(public, wire.TAI64N{}) }

func (l *Log) add(public key.Public, stamp wire.TAI64N) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.pending[public] = stamp // zero: forget
}

// Flush writes the notes, if the last time was a second ago (A21), and returns
// when to call it again: Never when there is nothing to write. After an error it
// keeps them, and the waits grow.
func (l *Log) Flush(now clock.Time) (next clock.Time, err error) {
	l.writing.Lock()
	defer l.writing.Unlock()
	if l.disabled || !l.dirty && !l.hasPending() {
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

// Close writes the notes and, as the new ceiling, last, which is the greatest
// stamp that was sent: what was reserved above it is given back. With the zero
// stamp the ceiling stays. Nothing is written afterwards, and nothing is an error.
func (l *Log) Close(last wire.TAI64N) error {
	l.writing.Lock()
	defer l.writing.Unlock()
	if l.disabled {
		return nil
	}
	batch := l.takePending()
	if !last.IsZero() && last != l.contents.ceiling {
		l.contents.ceiling = last
		batch = appendRecord(batch, kindCeiling, key.Public{}, last)
	}
	var err error
	if l.dirty || len(batch) > 0 {
		err = l.write(batch)
	}
	l.disabled = true
	if l.file != nil {
		err = errors.Join(err, l.file.Close())
		l.file = nil
	}
	return err
}

func (l *Log) hasPending() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.pending) > 0
}

// take moves the notes into what is kept, and returns them as records.
func (l *Log) takePending() (batch []byte) {
	l.mu.Lock()
	pending := l.pending
	l.pending = make(map[key.Public]wire.TAI64N)
	l.mu.Unlock()
	for public, stamp := range pending {
		kind := byte(kindStamp)
		if stamp.IsZero() {
			kind = kindForget
		}
		batch = appendRecord(batch, kind, public, stamp)
		l.contents.set(public, stamp)
	}
	return batch
}

// write makes the disk have what is kept, of which batch is what is new. When it
// returns nil, it is there for certain.
func (l *Log) write(batch []byte) error {
	if l.disabled {
		return nil
	}
	if l.dirty || l.file == nil || l.records > 2*l.contents.records()+maxOutdated {
		return l.rewrite()
	}
	_, err := l.file.Write(batch)
	if err == nil {
		err = l.file.Sync()
	}
	l.records += len(batch) / recordSize
	return l.failed(err)
}

// rewrite replaces the file by one that has what is kept and nothing else. The
// old one is there until the new one is, whole.
func (l *Log) rewrite() error {
	if l.file != nil {
		l.file.Close() // an error would be about what is written again now
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

// failed remembers that the file may end within a record, or not have all.
func (l *Log) failed(err error) error {
	if err == nil {
		return nil
	}
	l.dirty = true
	return fmt.Errorf("stamps of handshakes: %w (tried again later; until then they do not survive a restart)", err)
}
