package nameserver

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"wgd/internal/sys/flock"
)

// DNS is what a tunnel wants.
type DNS struct {
	Servers []netip.Addr `json:"servers"`
	Search  []string     `json:"search,omitempty"` // domains that are added to short names
	// Route are domains whose names are asked of these servers. If there are any, and
	// none of them is ".", other names are not.
	Route []string `json:"route,omitempty"`
}

// split reports whether the servers are for some names only.
func (d *DNS) split() bool { return len(d.Route) > 0 && !slices.Contains(d.Route, ".") }

// text is what a resolv.conf says.
func (d *DNS) text() string {
	var b strings.Builder
	for _, server := range d.Servers {
		fmt.Fprintf(&b, "nameserver %s\n", server)
	}
	if len(d.Search) > 0 {
		fmt.Fprintf(&b, "search %s\n", strings.Join(d.Search, " "))
	}
	return b.String()
}

// Settings are the name servers of this computer.
type Settings struct {
	dir        string // for the records
	resolvConf string // the file
	nsswitch   string // the file that says what libc asks
	first      string // the folder in /proc of process 1
	programs   programs
	resolved   resolver
	index      func(name string) (int, error)     // of an interface
	link       func(original, other string) error // gives a file another name
	changing   func()                             // is called before each change, in tests
}

// change does one change of the system, which is complete or not begun if the process is
// killed.
func (s *Settings) change(what func() error) error {
	if s.changing != nil {
		s.changing()
	}
	return what()
}

// Open returns the settings of the system. Records are kept in a folder of dir. index returns
// the index of an interface; Keep does not need it.
func Open(dir string, index func(name string) (int, error)) *Settings {
	return &Settings{
		link:       os.Link,
		dir:        filepath.Join(dir, "dns"),
		resolvConf: "/etc/resolv.conf",
		nsswitch:   "/etc/nsswitch.conf",
		first:      "/proc/1",
		programs:   programs{resolvconf: "resolvconf", order: "/etc/resolvconf/interface-order"},
		resolved:   systemdResolved{},
		index:      index,
	}
}

// What can hold the name servers of a tunnel.
const (
	byResolved   = "systemd-resolved"
	byResolvconf = "resolvconf"
	byFile       = "file"
)

// A record says what holds the name servers of a tunnel. It is written before they are
// set.
type record struct {
	DNS
	By    string `json:"by"`
	Index int    `json:"index,omitempty"` // by systemd-resolved: the index of the interface
	Entry string `json:"entry,omitempty"` // by resolvconf: the name there
	None  bool   `json:"none,omitempty"`  // by resolvconf: there was no file before
	Order int    `json:"order,omitempty"` // in the file: the highest number counts
}

// ErrSplit is why name servers for some domains cannot be set.
var ErrSplit = errors.New("a domain with ~ needs systemd-resolved, and without it all names would go to these name servers")

// Set sets the name servers of a tunnel, in place of those that it had. After an error,
// it has none. A warning says what is lacking although they are set.
func (s *Settings) Set(name string, dns *DNS) (warning, err error) {
	unlock, err := s.lock()
	if err != nil {
		return nil, err
	}
	defer unlock()
	if err := s.recover(); err != nil {
		return nil, err
	}
	list, failed := s.ways()
	for _, by := range list {
		if shared := s.shared(); shared != nil && by != byResolved {
			return nil, both(shared, s.unset(name))
		}
		if by != byResolved && dns.split() {
			return nil, both(both(ErrSplit, failed), s.unset(name))
		}
		err := s.setBy(by, name, dns)
		if err == nil && by == byResolved {
			return s.bypassed(), nil
		}
		if err == nil {
			return nil, nil
		}
		failed = both(failed, both(err, s.unset(name)))
	}
	return nil, failed
}

// both joins two errors, of which either may be nil, in one line.
func both(first, second error) error {
	switch {
	case first == nil:
		return second
	case second == nil:
		return first
	}
	return fmt.Errorf("%w; %w", first, second)
}

// ways returns what can be tried to set name servers, in order, and why systemd-resolved
// is not the first. If wgd has replaced the file, then nothing else is in charge of it.
func (s *Settings) ways() (list []string, whyNot error) {
	if len(s.inFile()) > 0 && s.holding() {
		return []string{byFile}, nil
	}
	if whyNot = s.resolvedInCharge(); whyNot == nil {
		list = append(list, byResolved)
	}
	if s.programs.haveResolvconf() && !s.ofOthers() {
		list = append(list, byResolvconf)
	}
	return append(list, byFile), whyNot
}

func (s *Settings) setBy(by, name string, dns *DNS) error {
	before, err := s.load(name)
	if err != nil {
		return err
	}
	r := &record{DNS: *dns, By: by}
	if before != nil && before.By != by {
		if err := s.unset(name); err != nil {
			return err
		}
		before = nil
	}
	if by == byResolved {
		if r.Index, err = s.index(name); err != nil {
			return err
		}
		if err := s.save(name, r); err != nil {
			return err
		}
		return s.setLink(r)
	}
	if by == byResolvconf {
		r.Entry, r.None = s.programs.entry(name), !exists(s.resolvConf)
		if before != nil {
			r.None = before.None
		}
		if err := s.save(name, r); err != nil {
			return err
		}
		return s.addEntry(r)
	}
	if before != nil {
		r.Order = before.Order
	} else {
		r.Order = 1
		if others := s.inFile(); len(others) > 0 {
			r.Order = others[len(others)-1].Order + 1
		}
	}
	if err := s.save(name, r); err != nil {
		return err
	}
	return s.writeFile()
}

// Unset restores what was before the tunnel. It is no error if it has no name servers.
func (s *Settings) Unset(name string) error {
	unlock, err := s.lock()
	if err != nil {
		return err
	}
	defer unlock()
	return s.unset(name)
}

func (s *Settings) unset(name string) error {
	r, err := s.load(name)
	if err != nil || r == nil {
		return err
	}
	switch r.By {
	case byResolved:
		return both(s.revertLink(name, r), s.forget(name))
	case byResolvconf:
		return both(s.removeEntry(r), s.forget(name))
	}
	switch holders := s.inFile(); {
	case len(holders) == 1:
		// Until the file is restored, the record says that there is something to restore.
		err = s.restoreFile()
		return both(err, s.forget(name))
	case !s.holding():
		return both(s.replaced(), s.forget(name))
	case holders[len(holders)-1].name != name:
		return s.forget(name)
	}
	return both(s.forget(name), s.writeFile())
}

// Recover restores the file if it is one that a tunnel left which is no longer known,
// because the computer was switched off meanwhile.
func (s *Settings) Recover() error {
	unlock, err := s.lock()
	if err != nil {
		return err
	}
	defer unlock()
	return s.recover()
}

func (s *Settings) recover() error {
	if len(s.inFile()) > 0 {
		return nil
	}
	if err := s.restoreFile(); err != nil && !errors.Is(err, ErrReplaced) {
		return err
	}
	return nil
}

// lock keeps other processes from changing anything, until unlock is called.
func (s *Settings) lock() (unlock func(), err error) {
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return nil, err
	}
	file, err := flock.Exclusive(filepath.Join(s.dir, "lock"))
	if err != nil {
		return nil, err
	}
	return func() { file.Close() }, nil
}

const suffix = ".json"

func (s *Settings) path(name string) string { return filepath.Join(s.dir, name+suffix) }

// load reads the record of a tunnel; nil if there is none.
func (s *Settings) load(name string) (*record, error) {
	text, err := os.ReadFile(s.path(name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	r := &record{}
	if err := json.Unmarshal(text, r); err != nil {
		return nil, fmt.Errorf("%s: this is no record of name servers: remove it, and correct %s", s.path(name), s.resolvConf)
	}
	return r, nil
}

func (s *Settings) save(name string, r *record) error {
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	draft := filepath.Join(s.dir, "draft")
	if err := os.WriteFile(draft, append(text, '\n'), 0o600); err != nil {
		return err
	}
	return s.change(func() error { return os.Rename(draft, s.path(name)) })
}

func (s *Settings) forget(name string) error { return s.remove(s.path(name)) }

// A holder is a tunnel whose name servers the file has, or will have after others.
type holder struct {
	name string
	*record
}

// inFile returns these tunnels, the one that counts last.
func (s *Settings) inFile() (list []holder) {
	paths, _ := filepath.Glob(s.path("*"))
	for _, path := range paths {
		name := strings.TrimSuffix(filepath.Base(path), suffix)
		if r, err := s.load(name); err == nil && r != nil && r.By == byFile {
			list = append(list, holder{name, r})
		}
	}
	slices.SortFunc(list, func(a, b holder) int { return a.Order - b.Order })
	return list
}
