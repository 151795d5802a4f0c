package unixsocket

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// needRoot leaves a test out without root; in CI, it fails.
func needRoot(t *testing.T) {
	if os.Getuid() == 0 {
		return
	}
	if os.Getenv("CI") == "true" {
		t.Fatal("this test needs root")
	}
	t.Skip("LEFT OUT: sockets for a group, by processes of other users: needs root")
}

// dialer is set in the environment of a process that TestPeerOf starts.
const dialer = "WGD_TEST_DIAL"

// A socket of a group has its group and mode. Who connects is known by user and groups, the
// supplementary ones included, as they were at that time.
func TestPeerOf(t *testing.T) {
	if path := os.Getenv(dialer); path != "" {
		dialAndChange(path)
		return
	}
	needRoot(t)
	dir := t.TempDir()
	path := filepath.Join(dir, "s")
	l, err := Make(path, &Group{ID: 4001})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	info, err := os.Stat(path)
	if err != nil || info.Mode() != fs.ModeSocket|0o660 || info.Sys().(*syscall.Stat_t).Gid != 4001 {
		t.Fatalf("the socket: %v, %v", info, err)
	}
	if g, ok := GroupOf(path); !ok || g != (Group{4001, "4001"}) {
		t.Errorf("the group of the socket: %v, %v", g, ok)
	}
	many := []uint32{4001}
	for i := range uint32(100) {
		many = append(many, 5000+i)
	}
	for _, c := range []struct {
		primary uint32
		others  []uint32
		refused bool
	}{{primary: 4001}, {4000, []uint32{4001}, false}, {4000, []uint32{7, 4001}, false}, {4000, many, false}, {4000, []uint32{7}, true}} {
		const setgid = 6 // CAP_SETGID
		done := runAs(t, path, &syscall.Credential{Uid: 4000, Gid: c.primary, Groups: c.others}, []uintptr{setgid})
		if c.refused {
			if text := <-done; !strings.Contains(text, "permission denied") {
				t.Errorf("groups %d %v: %s", c.primary, c.others, text)
			}
			continue
		}
		conn, err := l.AcceptUnix()
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		conn.Read(make([]byte, 1)) // now it has other groups
		p, err := PeerOf(conn)
		if want := append([]uint32{c.primary}, c.others...); err != nil || p.UID != 4000 || !slices.Equal(p.Groups, want) {
			t.Errorf("got %v, %v, want 4000 with %v", p, err, want)
		}
		conn.Close()
		if text := <-done; text != "" {
			t.Error(text)
		}
	}
}

// dialAndChange connects, and then is in no group any more. It runs as a process of its own.
func dialAndChange(path string) {
	conn, err := net.Dial("unix", path)
	if err != nil {
		fmt.Print(err)
		os.Exit(0)
	}
	if err := errors.Join(syscall.Setgroups(nil), syscall.Setgid(9)); err != nil {
		fmt.Print(err)
	}
	conn.Write([]byte{1})
	conn.Read(make([]byte, 1))
	os.Exit(0)
}

// runAs runs this test with these rights, and returns what it prints.
func runAs(t *testing.T, path string, as *syscall.Credential, capabilities []uintptr) <-chan string {
	t.Helper()
	dir := filepath.Dir(path)
	for d := dir; d != "/"; d = filepath.Dir(d) {
		if info, err := os.Stat(d); err == nil && info.Mode().Perm()&1 == 0 {
			os.Chmod(d, 0o711)
		}
	}
	program := filepath.Join(dir, "program")
	if _, err := os.Stat(program); err != nil {
		binary, err := os.ReadFile("/proc/self/exe")
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(program, binary, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	other := exec.Command(program, "-test.run=^"+t.Name()+"$")
	other.Dir = "/"
	other.Env = append(os.Environ(), dialer+"="+path)
	other.SysProcAttr = &syscall.SysProcAttr{Credential: as, AmbientCaps: capabilities}
	done := make(chan string, 1)
	go func() {
		out, err := other.CombinedOutput()
		if err != nil {
			out = fmt.Append(out, err)
		}
		done <- string(out)
	}()
	return done
}

// A group is found by name or number. Those that cannot be told from others, and those that
// do not exist, are refused with a sentence.
func TestFindGroup(t *testing.T) {
	for text, want := range map[string]Group{"root": {0, "root"}, "0": {0, "root"}, "4001": {4001, "4001"}, "4294967294": {4294967294, "4294967294"}} {
		if g, err := FindGroup(text); err != nil || g != want {
			t.Errorf("%q: %v, %v, want %v", text, g, err, want)
		}
	}
	for text, want := range map[string]string{
		"":           "give the name or the number of a group",
		"no such":    "no such group in /etc/group",
		"-1":         "no such group",
		"4294967295": "no group has this number",
		"4294967296": "no such group",
		"65534":      "does not know as this one: choose another one",
	} {
		if g, err := FindGroup(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, %v, want %q", text, g, err, want)
		}
	}
}

// A process that may not give files to the group says what it lacks, and makes no socket.
func TestMakeForAnotherGroup(t *testing.T) {
	if path := os.Getenv(dialer); path != "" {
		_, err := Make(path, &Group{4001, "vpn"})
		fmt.Print(err)
		return
	}
	needRoot(t)
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	text := <-runAs(t, filepath.Join(dir, "s"), &syscall.Credential{Uid: 4000, Gid: 4000}, nil)
	if !strings.Contains(text, "this process may not give a socket to the group vpn: make it a member of the group (SupplementaryGroups= in a unit of systemd), or give it CAP_CHOWN") {
		t.Error(text)
	}
	if files, err := os.ReadDir(dir); err != nil || len(files) != 1 { // the program
		t.Errorf("files: %v, %v", files, err)
	}
	text = <-runAs(t, filepath.Join(dir, "s"), &syscall.Credential{Uid: 4000, Gid: 4000, Groups: []uint32{4001}}, nil)
	if g, ok := GroupOf(filepath.Join(dir, "s")); !ok || g.ID != 4001 {
		t.Errorf("by a member: %v, %v: %s", g, ok, text)
	}
}
