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

	// slack is how many outdated records a file may have however few others.
	slack = 1024
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
	mu    sync.Mutex // never held while the disk works
	notes map[key.Public]wire.TAI64N

	writing  sync.Mutex // for all below
	disk     disk
	path     string
	kept     contents      // what the disk is to have
	file     file          // nil before the first write, after the last, and when off
	records  int           // in file, outdated ones too
	behind   bool          // file does not say what kept does, or is unfit to be appended to
	off      bool          // nothing is written: closed, or there may be a file that we cannot read
	earliest clock.Time    // of the next write of notes
	wait     time.Duration // after a failure
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
	l := &Log{disk: d, path: path, notes: map[key.Public]wire.TAI64N{}}
	warning := l.begin()
	saved := Saved{Ceiling: l.kept.ceiling, Received: make(map[key.Public]wire.TAI64N, len(l.kept.received)), Warning: warning}
	for public, stamp := range l.kept.received {
		saved.Received[public] = stamp
	}
	return l, saved, nil
}

// begin reads the file and makes it fit to be appended to.
func (l *Log) begin() (warning string) {
	if err := l.disk.makeDir(filepath.Dir(l.path)); err != nil {
		l.off = true
		return fmt.Sprintf("%s has no directory: %v. Therefore %s", l.path, err, notKept)
	}
	damage, err := l.read()
	switch {
	case errors.Is(err, fs.ErrNotExist):
		l.behind = true
	case errors.Is(err, errHeading):
		l.behind = true
		warning = l.setAside()
	case err != nil:
		// It may be good, so it must not be replaced.
		l.off = true
		return fmt.Sprintf("%v. Therefore %s", err, notKept)
	default:
		l.records = damage.records
		if damage.bad > 0 {
			l.behind = true
			warning = fmt.Sprintf("%s: %d of %d records are damaged and left out; the others are used. "+
				"After a crash or a power failure nothing needs to be done; otherwise check the disk.", l.path, damage.bad, damage.records)
		}
	}
	if err := l.prepare(); err != nil {
		return strings.TrimSpace(fmt.Sprintf("%s %v. Therefore %s", warning, err, notKept))
	}
	return warning
}

const notKept = "the time stamps of handshakes are not kept over a restart. " +
	"Make that directory and what is in it accessible to this user, or choose another one for the state, and start again; " +
	"until then keep the clock right: a peer refuses stamps older than the last it had."

func (l *Log) read() (damage, error) {
	r, err := l.disk.read(l.path)
	if err != nil {
		return damage{}, err
	}
	defer r.Close()
	var d damage
	l.kept, d, err = load(r)
	return d, err
}

// setAside renames a file that is none of ours, or damaged from its beginning.
func (l *Log) setAside() (warning string) {
	aside := l.path + ".damaged"
	if err := l.disk.rename(l.path, aside); err != nil {
		l.off = true
		return fmt.Sprintf("%s is damaged or not a file of stamps: %v, and it cannot be renamed (%v): %s", l.path, errHeading, err, notKept)
	}
	return fmt.Sprintf("%s is damaged or not a file of stamps: %v. It is ignored; it is now %s, and a new one was begun. "+
		"Delete it, or look into it and at the disk. If peers do not answer, their clock or ours was set back.", l.path, errHeading, aside)
}

// prepare makes file one that can be appended to.
func (l *Log) prepare() (err error) {
	if l.off {
		return nil
	}
	if l.behind || l.records > 2*l.kept.records()+slack {
		return l.rewrite()
	}
	if l.file == nil {
		l.file, err = l.disk.extend(l.path)
	}
	return l.failed(err)
}

// Reserve makes the disk keep ceiling (A20): when it returns nil, no Open finds
// a lower one, unless Close lowered it. One that is not above the last changes
// nothing. After an error Flush tries again.
func (l *Log) Reserve(ceiling wire.TAI64N) error {
	l.writing.Lock()
	defer l.writing.Unlock()
	if ceiling.After(l.kept.ceiling) {
		l.kept.ceiling = ceiling
		return l.write(appendRecord(nil, kindCeiling, key.Public{}, ceiling))
	}
	if l.behind {
		return l.write(nil)
	}
	return nil
}

// Accepted notes the greatest stamp of a peer (A21).
func (l *Log) Accepted(public key.Public, stamp wire.TAI64N) { l.note(public, stamp) }

// Forget notes that a peer is no more (A21).
func (l *Log) Forget(public key.Public) { l.note(public, wire.TAI64N{}) }

func (l *Log) note(public key.Public, stamp wire.TAI64N) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.notes[public] = stamp // zero: forget
}

// Flush writes the notes, if the last time was a second ago (A21), and returns
// when to call it again: Never when there is nothing to write. After an error it
// keeps them, and the waits grow.
func (l *Log) Flush(now clock.Time) (next clock.Time, err error) {
	l.writing.Lock()
	defer l.writing.Unlock()
	if l.off || !l.behind && !l.noted() {
		return clock.Never, nil
	}
	if now < l.earliest {
		return l.earliest, nil
	}
	if err = l.write(l.take()); err != nil {
		l.wait = min(max(2*l.wait, writeInterval), retryLimit)
		l.earliest = now.Add(l.wait)
		return l.earliest, err
	}
	l.wait = 0
	l.earliest = now.Add(writeInterval)
	return clock.Never, nil
}

// Close writes the notes and, as the new ceiling, last, which is the greatest
// stamp that was sent: what was reserved above it is given back. With the zero
// stamp the ceiling stays. Nothing is written afterwards, and nothing is an error.
func (l *Log) Close(last wire.TAI64N) error {
	l.writing.Lock()
	defer l.writing.Unlock()
	if l.off {
		return nil
	}
	batch := l.take()
	if !last.IsZero() && last != l.kept.ceiling {
		l.kept.ceiling = last
		batch = appendRecord(batch, kindCeiling, key.Public{}, last)
	}
	var err error
	if l.behind || len(batch) > 0 {
		err = l.write(batch)
	}
	l.off = true
	if l.file != nil {
		err = errors.Join(err, l.file.Close())
		l.file = nil
	}
	return err
}

func (l *Log) noted() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.notes) > 0
}

// take moves the notes into what is kept, and returns them as records.
func (l *Log) take() (batch []byte) {
	l.mu.Lock()
	notes := l.notes
	l.notes = make(map[key.Public]wire.TAI64N)
	l.mu.Unlock()
	for public, stamp := range notes {
		kind := byte(kindStamp)
		if stamp.IsZero() {
			kind = kindForget
		}
		batch = appendRecord(batch, kind, public, stamp)
		l.kept.note(public, stamp)
	}
	return batch
}

// write makes the disk have what is kept, of which batch is what is new. When it
// returns nil, it is there for certain.
func (l *Log) write(batch []byte) error {
	if l.off {
		return nil
	}
	if l.behind || l.file == nil || l.records > 2*l.kept.records()+slack {
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
	l.behind = true
	if err := l.disk.makeDir(filepath.Dir(l.path)); err != nil {
		return l.failed(err)
	}
	temporary := l.path + ".new"
	f, err := l.disk.create(temporary)
	if err != nil {
		return l.failed(err)
	}
	if err = l.kept.writeTo(f); err == nil {
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
	l.file, l.records, l.behind = f, l.kept.records(), false
	return nil
}

// failed remembers that the file may end within a record, or not have all.
func (l *Log) failed(err error) error {
	if err == nil {
		return nil
	}
	l.behind = true
	return fmt.Errorf("stamps of handshakes: %w (tried again later; until then they do not survive a restart)", err)
}
