package state

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
)

// memDisk is a disk whose power may fail at any step. Unsynced data may then be
// there completely, in part, as zeros, or not at all; of the changes of names
// since the last sync of the directory, the later ones may be lost.
type memDisk struct {
	dice  *rand.Rand
	names []map[string]*inode // states of the directory since its last sync; the last is current
	steps int                 // number of steps so far
	crash int                 // the power fails at this step
	full  bool                // every write fails, half done
}

type inode struct {
	data   []byte
	synced int // number of durable bytes
}

// powerFailure is the value with which a failing step panics.
type powerFailure struct{}

var errFull = errors.New("no space left on device")

func newMemDisk(seed uint64) *memDisk {
	return &memDisk{dice: rand.New(rand.NewPCG(20, seed)), names: []map[string]*inode{{}}}
}

func (d *memDisk) step() {
	d.steps++
	if d.steps == d.crash {
		panic(powerFailure{})
	}
}

// powerOn chooses a state in which the disk may be after the failure.
func (d *memDisk) powerOn() {
	names := d.names[d.dice.IntN(len(d.names))]
	for _, n := range names {
		kept := n.synced + d.dice.IntN(len(n.data)-n.synced+1)
		if d.dice.IntN(3) == 0 {
			clear(n.data[n.synced+d.dice.IntN(kept-n.synced+1) : kept]) // the length became durable before the bytes
		}
		n.data, n.synced = n.data[:kept], kept
	}
	d.names, d.crash = []map[string]*inode{names}, 0
}

func (d *memDisk) now() map[string]*inode { return d.names[len(d.names)-1] }

// change changes names in the directory, which a power failure may undo.
func (d *memDisk) change(f func(map[string]*inode)) {
	next := maps.Clone(d.now())
	f(next)
	d.names = append(d.names, next)
}

func (d *memDisk) makeDir(string) error { return nil }

// lock always succeeds: a process that is killed has no lock.
func (d *memDisk) lock(string) (io.Closer, error) { return io.NopCloser(nil), nil }

func (d *memDisk) read(path string) (io.ReadCloser, error) {
	n := d.now()[path]
	if n == nil {
		return nil, fs.ErrNotExist
	}
	return io.NopCloser(bytes.NewReader(n.data)), nil
}

func (d *memDisk) openAppend(path string) (file, error) {
	n := d.now()[path]
	if n == nil {
		return nil, fs.ErrNotExist
	}
	return &memFile{d, n}, nil
}

func (d *memDisk) create(path string) (file, error) {
	d.step()
	if d.full {
		return nil, errFull
	}
	n := &inode{}
	d.change(func(names map[string]*inode) { names[path] = n })
	return &memFile{d, n}, nil
}

func (d *memDisk) rename(from, to string) error {
	d.step()
	d.change(func(names map[string]*inode) {
		names[to] = names[from]
		delete(names, from)
	})
	return nil
}

func (d *memDisk) syncDir(string) error {
	d.step()
	d.names = d.names[len(d.names)-1:]
	return nil
}

type memFile struct {
	disk *memDisk
	*inode
}

func (f *memFile) Write(b []byte) (int, error) {
	half := f.disk.dice.IntN(len(b) + 1)
	if f.disk.full {
		f.data = append(f.data, b[:half]...)
		return half, errFull
	}
	f.data = append(f.data, b[:half]...)
	f.disk.step()
	f.data = append(f.data, b[half:]...)
	return len(b), nil
}

func (f *memFile) Sync() error {
	f.disk.step()
	f.synced = len(f.data)
	return nil
}

func (f *memFile) Close() error { return nil }
