// Package state keeps an interface's stamps over a restart: the ceiling of
// what we sent (A20) and the greatest that each peer sent (A21).
package state

import (
	"wgd/internal/clock"
	"wgd/internal/wire"
	"wgd/key"
)

// Saved is what the last process left behind.
type Saved struct {
	Ceiling  wire.TAI64N                // no own stamp at or below it; zero: none
	Received map[key.Public]wire.TAI64N // the greatest accepted from each peer
	Warning  string                     // a sentence for the person in charge; "" when all is well
}

// Log is the file of one interface. Accepted and Forget only take notes and
// never wait for the disk; Reserve, Flush and Close write, and are for one
// goroutine that nobody waits for.
type Log struct{}

// DefaultDir is where the files are: /var/lib/wgd for root; $XDG_STATE_HOME/wgd,
// or else ~/.local/state/wgd, for everybody else.
func DefaultDir() string { return "/var/lib/wgd" }

// Open reads what the file of the interface name in dir has and makes the
// directory and the file where they are missing. The Log is usable whatever
// happened: what is wrong stands in Saved.Warning. The error is a bad name.
func Open(dir, name string) (*Log, Saved, error) { return &Log{}, Saved{}, nil }

// Reserve makes ceiling durable: when it returns nil, no later Open returns
// less, unless Close lowered it.
func (l *Log) Reserve(ceiling wire.TAI64N) error { return nil }

// Accepted notes the greatest stamp of a peer.
func (l *Log) Accepted(public key.Public, stamp wire.TAI64N) {}

// Forget notes that a peer was removed (A21).
func (l *Log) Forget(public key.Public) {}

// Flush writes the notes, at most once a second, and returns when it is to be
// called again: Never when there is nothing to write.
func (l *Log) Flush(now clock.Time) (next clock.Time, err error) { return clock.Never, nil }

// Close writes the notes and, as the new ceiling, last: the last stamp that was
// sent. With the zero stamp the ceiling stays.
func (l *Log) Close(last wire.TAI64N) error { return nil }
