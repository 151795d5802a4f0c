package netsetup

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"wgd/internal/sys/flock"
	"wgd/internal/sys/process"
	"wgd/internal/tunnelfile"
)

// A Record says what was done to the system for one interface.
type Record struct {
	Interface string `json:"interface"`
	File      string `json:"file"` // the configuration file
	// Hooks reports whether PostUp was begun, so that PreDown and PostDown are due.
	Hooks    bool     `json:"hooks"`
	PreDown  []string `json:"pre_down,omitempty"`
	PostDown []string `json:"post_down,omitempty"`
	Steps    []Step   `json:"steps"` // in the order in which they were begun
	// Changing: while the interface changes, the steps are those before and those after.
	Changing bool `json:"changing,omitempty"`
	// Tunnel is the tunnel as it was when all of that was done; nil before that.
	Tunnel *tunnelfile.Known `json:"tunnel,omitempty"`
}

// needsValidMark reports whether the interface needs src_valid_mark, and whether it was
// set before the first one that does.
func (r *Record) needsValidMark() (before, needs bool) {
	for _, s := range r.Steps {
		if s.ValidMark != nil {
			return s.ValidMark.Before, true
		}
	}
	return false, false
}

// Index is that of the interface; 0 if it is not known.
func (r *Record) Index() int {
	for _, s := range r.Steps {
		if s.Create != nil {
			return s.Create.Index
		}
	}
	return 0
}

// Dir is where the records are. It is emptied when the system boots.
const Dir = "/run/wgd"

// Folder returns Dir, or for a user who cannot write there, such as the root of a user
// namespace, the folder in $XDG_RUNTIME_DIR.
func Folder() string { return process.RuntimeDir(Dir) }

// A Store keeps the records in a folder. The hooks in them may have secrets, so only
// the owner can read them.
type Store struct {
	Dir string
}

const suffix = ".json"

func (s Store) path(name string) string { return filepath.Join(s.Dir, name+suffix) }

// ErrBusy is returned by Lock.
var ErrBusy = errors.New("another wgd up, wgd down, wgd reload or wgd save is working on it: wait until it has ended")

// Lock keeps others from changing an interface until release is called. It returns
// ErrBusy if another process has the lock.
func (s Store) Lock(name string) (release func(), err error) {
	if err := os.MkdirAll(s.Dir, 0o700); err != nil {
		return nil, storeError(err)
	}
	file, err := flock.Try(filepath.Join(s.Dir, name+".lock"))
	if errors.Is(err, flock.ErrLocked) {
		return nil, fmt.Errorf("%s: %w", name, ErrBusy)
	}
	if err != nil {
		return nil, storeError(err)
	}
	return func() { file.Close() }, nil
}

func storeError(err error) error {
	if errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("what is done to the system cannot be recorded: %w: run it as root, or set XDG_RUNTIME_DIR to a folder that is yours alone", err)
	}
	return fmt.Errorf("what is done to the system cannot be recorded: %w", err)
}

// Load reads the record of an interface; nil if there is none.
func (s Store) Load(name string) (*Record, error) {
	text, err := os.ReadFile(s.path(name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	record := &Record{}
	if err := json.Unmarshal(text, record); err != nil || record.Interface != name {
		return nil, fmt.Errorf("%s: this is no record of what wgd up did: remove it, and what it left with ip(8)", s.path(name))
	}
	return record, nil
}

// save replaces the record in one step: whoever reads it finds the old one or the new.
func (s Store) save(r *Record) error {
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	draft := s.path(r.Interface) + ".new"
	err = os.WriteFile(draft, append(text, '\n'), 0o600)
	if err == nil {
		err = os.Rename(draft, s.path(r.Interface))
	}
	if err != nil {
		return storeError(err)
	}
	return nil
}

func (s Store) remove(name string) error {
	err := os.Remove(s.path(name))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// others are the records of other interfaces. Those that cannot be read are left out.
func (s Store) others(name string) (list []*Record) {
	paths, _ := filepath.Glob(s.path("*"))
	for _, path := range paths {
		other := strings.TrimSuffix(filepath.Base(path), suffix)
		if other == name {
			continue
		}
		if r, err := s.Load(other); err == nil && r != nil {
			list = append(list, r)
		}
	}
	return list
}
