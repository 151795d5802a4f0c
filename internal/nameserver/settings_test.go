//go:build linux

package nameserver

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"wgd/internal/sys/resolved"
)

// newSettings has no resolvconf, and what kind says as resolv.conf.
func newSettings(t *testing.T, kind string) *Settings {
	t.Helper()
	dir := t.TempDir()
	s := &Settings{dir: filepath.Join(dir, "run", "dns"), resolvConf: filepath.Join(dir, "resolv.conf"), link: os.Link,
		programs: programs{resolvconf: filepath.Join(dir, "resolvconf")},
		nsswitch: filepath.Join(dir, "run", "nsswitch.conf"), resolved: &fakeResolved{absent: resolved.ErrNotRunning},
		index: func(name string) (int, error) { return 7 + int(name[2]-'0'), nil }}
	var err error
	switch kind {
	case "none":
	case "link":
		err = errors.Join(os.WriteFile(filepath.Join(dir, "other"), []byte(original), 0o644), os.Symlink("other", s.resolvConf))
	case "mount": // looks like one, because it cannot be replaced
		s.link = func(string, string) error { return syscall.EXDEV }
		fallthrough
	case "file":
		err = os.WriteFile(s.resolvConf, []byte(original), 0o640)
	}
	if err != nil {
		t.Fatal(err)
	}
	return s
}

const original = "# mine\nnameserver 192.0.2.53\noptions timeout:1\n\n"

var kinds = []string{"file", "link", "none", "mount"}

// state is the file, and what else is in its folder.
func state(t *testing.T, s *Settings) string {
	t.Helper()
	text := ""
	info, err := os.Lstat(s.resolvConf)
	if !errors.Is(err, fs.ErrNotExist) {
		content, err2 := os.ReadFile(s.resolvConf)
		if err := errors.Join(err, err2); err != nil {
			t.Fatal(err)
		}
		target, _ := os.Readlink(s.resolvConf)
		text = fmt.Sprint(info.Mode(), info.Sys().(*syscall.Stat_t).Ino, info.ModTime(), target, "\n", string(content))
	}
	entries, err := os.ReadDir(filepath.Dir(s.resolvConf))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.Name() != "run" {
			text += e.Name() + "\n"
		}
	}
	return text
}

func servers(t *testing.T, s *Settings) string {
	t.Helper()
	text, err := os.ReadFile(s.resolvConf)
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for line := range strings.Lines(string(text)) {
		if server, ok := strings.CutPrefix(line, "nameserver "); ok {
			list = append(list, strings.TrimSpace(server))
		}
	}
	return strings.Join(list, " ")
}

func dns(server string) *DNS {
	return &DNS{Servers: []netip.Addr{netip.MustParseAddr(server)}, Search: []string{"corp.example"}}
}

// set is Set without a warning.
func (s *Settings) set(name string, dns *DNS) error {
	warning, err := s.Set(name, dns)
	return errors.Join(warning, err)
}

func must(t *testing.T, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

// Whatever the file is, it has the name servers of the tunnel that came last, and is in
// the end what it was, with its inode, whatever the order in which tunnels go.
func TestFile(t *testing.T) {
	for _, kind := range kinds {
		t.Run(kind, func(t *testing.T) {
			s := newSettings(t, kind)
			before := state(t, s)
			counts := func(what, want string) {
				t.Helper()
				if got := servers(t, s); got != want {
					t.Errorf("%s: got %s, want %s", what, got, want)
				}
			}
			must(t, s.set("wg0", dns("10.2.0.1")))
			counts("wg0 came", "10.2.0.1")
			must(t, s.set("wg1", dns("10.3.0.1")))
			counts("wg1 came", "10.3.0.1")
			must(t, s.set("wg0", dns("10.2.0.9")))
			counts("wg0 has another one", "10.3.0.1")
			must(t, s.Unset("wg1"))
			counts("wg1 went", "10.2.0.9")
			must(t, s.set("wg2", dns("10.4.0.1")), s.Unset("wg0"))
			counts("wg2 came, wg0 went", "10.4.0.1")
			must(t, s.set("wg2", dns("10.4.0.2")))
			counts("wg2 has another one", "10.4.0.2")
			must(t, s.Unset("wg2"), s.Unset("wg2"))
			after := state(t, s)
			if kind == "mount" { // is written to
				before, after = withoutTime(before), withoutTime(after)
			}
			if before != after {
				t.Errorf("before:\n%s\nafter:\n%s", before, after)
			}
		})
	}
}

// withoutTime removes the line with the time.
func withoutTime(state string) string { return state[strings.Index(state, "\n"):] }

type killed struct{}

// killedAt makes the change number at end the process.
func killedAt(s *Settings, at int) (calls *int) {
	calls = new(int)
	s.changing = func() {
		if *calls++; *calls == at {
			panic(killed{})
		}
	}
	return calls
}

// attempt reports whether f was killed.
func attempt(f func()) (dead bool) {
	defer func() {
		if r := recover(); r != nil {
			if _, ok := r.(killed); !ok {
				panic(r)
			}
			dead = true
		}
	}()
	f()
	return false
}

// Wherever wgd is killed while tunnels come and go, another process restores what was
// before.
func TestFileKilled(t *testing.T) {
	for _, kind := range kinds {
		for at := 1; ; at++ {
			s := newSettings(t, kind)
			before := state(t, s)
			killedAt(s, at)
			dead := attempt(func() {
				must(t, s.set("wg0", dns("10.2.0.1")), s.set("wg1", dns("10.3.0.1")), s.Unset("wg1"), s.Unset("wg0"))
			})
			s.changing = nil
			must(t, s.Unset("wg0"), s.Unset("wg1"))
			after := state(t, s)
			if kind == "mount" {
				before, after = withoutTime(before), withoutTime(after)
			}
			if before != after {
				t.Errorf("%s, killed at change %d: before:\n%s\nafter:\n%s", kind, at, before, after)
			}
			if !dead {
				if at < 8 {
					t.Errorf("%s: only %d changes: this test proves little", kind, at)
				}
				break
			}
		}
	}
}

// After the computer was switched off, there are no records. The original is there still,
// or the file says that there was none.
func TestRecover(t *testing.T) {
	for _, kind := range []string{"file", "link", "none"} {
		s := newSettings(t, kind)
		before := state(t, s)
		must(t, s.set("wg0", dns("10.2.0.1")), os.RemoveAll(s.dir), s.Recover())
		if after := state(t, s); before != after {
			t.Errorf("%s: before:\n%s\nafter:\n%s", kind, before, after)
		}
	}
}

// What others put in the place of the file stays, also under a second tunnel, and the
// error says so.
func TestFileReplacedByOthers(t *testing.T) {
	const others = "nameserver 192.0.2.7\n"
	for _, kind := range kinds {
		for _, second := range []bool{false, true} {
			s := newSettings(t, kind)
			must(t, s.set("wg0", dns("10.2.0.1")))
			if second {
				must(t, s.set("wg1", dns("10.3.0.1")))
			}
			must(t, os.WriteFile(s.resolvConf, []byte(others), 0o644))
			if second {
				if err := s.Unset("wg1"); !errors.Is(err, ErrReplaced) {
					t.Errorf("%s: the second: %v", kind, err)
				}
			}
			if err := s.Unset("wg0"); !errors.Is(err, ErrReplaced) && kind != "none" {
				t.Errorf("%s: %v", kind, err)
			}
			if text, err := os.ReadFile(s.resolvConf); err != nil || string(text) != others {
				t.Errorf("%s: %q, %v", kind, text, err)
			}
			if exists(s.backup()) || exists(s.copied()) {
				t.Errorf("%s: the original is still kept", kind)
			}
		}
	}
}

// A tunnel that comes after others have replaced the file restores what they have put
// there.
func TestFileOfOthersIsTheOriginal(t *testing.T) {
	s := newSettings(t, "file")
	must(t, s.set("wg0", dns("10.2.0.1")), os.WriteFile(s.resolvConf, []byte("nameserver 192.0.2.7\n"), 0o644))
	before := servers(t, s)
	must(t, s.set("wg1", dns("10.3.0.1")), s.Unset("wg0"), s.Unset("wg1"))
	if after := servers(t, s); after != before {
		t.Errorf("before %s, after %s", before, after)
	}
}

// A link in a folder in which nothing can be replaced is not written through.
func TestLinkOfOthers(t *testing.T) {
	s := newSettings(t, "link")
	s.link = func(string, string) error { return syscall.EROFS }
	before := state(t, s)
	if err := s.set("wg0", dns("10.2.0.1")); !errors.Is(err, syscall.EROFS) || !strings.Contains(err.Error(), "it is a link") {
		t.Error(err)
	}
	if after := state(t, s); before != after {
		t.Errorf("before:\n%s\nafter:\n%s", before, after)
	}
}

// Name servers for some names only are not set where they would get all of them, and
// those that the tunnel had before go. ~. means all names.
func TestSplit(t *testing.T) {
	s := newSettings(t, "file")
	before := state(t, s)
	must(t, s.set("wg0", dns("10.2.0.1")))
	split := dns("10.2.0.1")
	split.Route = []string{"corp.example"}
	if err := s.set("wg0", split); !errors.Is(err, ErrSplit) {
		t.Error(err)
	}
	if after := state(t, s); before != after {
		t.Errorf("before:\n%s\nafter:\n%s", before, after)
	}
	split.Route = append(split.Route, ".")
	must(t, s.set("wg0", split))
}
