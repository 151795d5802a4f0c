package process

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// TestMain makes this program the daemon that Background starts, if an environment
// variable says so.
func TestMain(m *testing.M) {
	if as := os.Getenv("PROCESS_TEST_AS"); as != "" {
		beDaemon(as)
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// beDaemon behaves as the variable says: it reports to its parent, or does not.
func beDaemon(as string) {
	parent, err := FindParent()
	if err != nil {
		panic(err)
	}
	switch as {
	case "ready":
		parent.Notify(nil)
	case "killed":
		syscall.Kill(os.Getpid(), syscall.SIGKILL)
	case "silent":
		os.Exit(2)
	case "inspect": // reports what it inherited
		files, err := openFiles(), error(nil)
		files = slices.DeleteFunc(files, func(fd int) bool { // opened by the runtime, or for the list itself
			flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
			return err != nil || flags&unix.FD_CLOEXEC != 0
		})
		slices.Sort(files)
		dir, _ := os.Getwd()
		session, _ := unix.Getsid(0)
		var given []byte
		if f, err := Inherited("TEST_GIVEN"); f != nil && err == nil {
			given, _ = io.ReadAll(f)
		}
		err = fmt.Errorf("files %v, dir %s, leader %v, given %q, LISTEN_FDS=%q, OTHER=%q", files, dir, session == os.Getpid(),
			given, os.Getenv("LISTEN_FDS"), os.Getenv("OTHER"))
		parent.Notify(err)
	}
}

// leak opens a file that stays open after exec, as a shell does with 9>file.
func leak(t *testing.T) (fd int) {
	t.Helper()
	fd, err := unix.Open(os.DevNull, unix.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	return fd
}

// A daemon inherits the files that are passed to it, and no others.
func TestBackgroundPassesFiles(t *testing.T) {
	leak(t)
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(write, "for it")
	write.Close()
	given, err := unix.Dup(int(read.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	leak(t)
	t.Setenv("PROCESS_TEST_AS", "inspect")
	t.Setenv("TEST_GIVEN", strconv.Itoa(given))
	t.Setenv("LISTEN_FDS", "2")
	t.Setenv("OTHER", "stays")
	err = Background(exec.Command("/proc/self/exe"), "TEST_ABSENT", "TEST_GIVEN")
	const want = `files [0 1 2 3 4], dir /, leader true, given "for it", LISTEN_FDS="", OTHER="stays"`
	if err == nil || err.Error() != want {
		t.Errorf("the daemon reported\n%v, want\n%s", err, want)
	}
	if _, set := os.LookupEnv("TEST_GIVEN"); set {
		t.Error("the variable of the passed file is still set")
	}
}

// closeEach replaces close_range where a kernel before 5.11 or a filter of system
// calls refuses it.
func TestCloseEach(t *testing.T) {
	low, high := leak(t), leak(t)
	open := func(fd int) bool {
		flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
		return err == nil && flags&unix.FD_CLOEXEC == 0
	}
	files := openFiles()
	if !slices.Contains(files, low) || !slices.Contains(files, high) || !open(low) || !open(high) {
		t.Fatalf("openFiles: got %v, want %d and %d among them", files, low, high)
	}
	closeEach(high, files)
	if !open(low) || open(high) || !open(0) {
		t.Errorf("open after exec: %d: %v, %d: %v, 0: %v", low, open(low), high, open(high), open(0))
	}
}

// Background returns the daemon's report: that it is ready, why it is not, or how it
// ended without a report.
func TestBackgroundReturnsTheReport(t *testing.T) {
	for as, want := range map[string]string{
		"ready": "", "killed": "it ended at once and did not say why (signal: killed)",
		"silent": "it ended at once and did not say why (exit status 2)",
	} {
		t.Setenv("PROCESS_TEST_AS", as)
		err := Background(exec.Command("/proc/self/exe"))
		if want == "" && err != nil || want != "" && (err == nil || err.Error() != want || !errors.Is(err, ErrSilent)) {
			t.Errorf("daemon %q: got %v, want %q", as, err, want)
		}
	}
	if err := Background(exec.Command("/nowhere/daemon")); err == nil || !strings.Contains(err.Error(), "/nowhere/daemon") {
		t.Errorf("no such program: %v", err)
	}
	for value, want := range map[string]string{
		"three":                       `TEST_GIVEN="three": not a descriptor: give the number of an open file`,
		strings.Repeat("k", 43) + "=": `TEST_GIVEN="kkkk…": not a descriptor: give the number of an open file`,
		"999":                         `TEST_GIVEN=999: bad file descriptor: give the number of an open file`,
	} {
		t.Setenv("TEST_GIVEN", value)
		if err := Background(exec.Command("/proc/self/exe"), "TEST_GIVEN"); err == nil || err.Error() != want {
			t.Errorf("descriptor %q: got %v, want %s", value, err, want)
		}
	}
}

func TestNotify(t *testing.T) {
	for _, c := range []struct {
		name string
		say  func(*Parent)
		want string // "" for ready
	}{
		{"ready", func(r *Parent) { r.Notify(nil) }, ""},
		{"ready, and an error later", func(r *Parent) {
			r.Notify(nil)
			if r.Notify(errors.New("later")) || r.Waiting() {
				t.Error("a second report was delivered")
			}
		}, ""},
		{"an error", func(r *Parent) {
			if !r.Waiting() || !r.Notify(errors.New("the port is taken")) {
				t.Error("the error was not delivered")
			}
		}, "the port is taken"},
		{"nothing", func(r *Parent) { r.pipe.Close() }, "did not say why"},
	} {
		read, write, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		c.say(&Parent{pipe: write})
		err = await(read)
		read.Close()
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: got %v, want %q", c.name, err, c.want)
		}
	}
	if (&Parent{}).Notify(errors.New("in the foreground")) {
		t.Error("an error was delivered, though no program waits")
	}
	if err := await(brokenReader{}); err == nil {
		t.Error("a pipe that cannot be read counts as ready")
	}
}

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// A descriptor is taken from the environment once, and its variable is unset.
func TestInherited(t *testing.T) {
	const variable = "TEST_FD"
	fd := leak(t)
	copied, err := unix.Dup(fd)
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv(variable, strconv.Itoa(copied))
	f, err := Inherited(variable)
	if err != nil || f == nil || int(f.Fd()) != copied || f.Name() != variable {
		t.Fatal(f, err)
	}
	defer f.Close()
	if _, set := os.LookupEnv(variable); set {
		t.Error("the variable is still set")
	}
	if again, err := Inherited(variable); again != nil || err != nil {
		t.Errorf("the second time: got %v, %v, want nil, nil", again, err)
	}
}

// Another process writes to a temporary file, and this one reads it from the
// beginning. No folder for temporary files is needed.
func TestTemporaryFile(t *testing.T) {
	t.Setenv("TMPDIR", "/nowhere")
	f, err := TemporaryFile("said")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	cmd := exec.Command("echo", "x")
	cmd.Stdout = f
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	if text, err := io.ReadAll(io.NewSectionReader(f, 0, 100)); err != nil || !bytes.Equal(text, []byte("x\n")) {
		t.Errorf("read %q, %v, want %q", text, err, "x\n")
	}
}
