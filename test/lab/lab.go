package lab

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// T is what the lab needs of a test; a benchmark program brings its own.
type T interface {
	Helper()
	Failed() bool
	Cleanup(func())
	Logf(format string, args ...any)
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
}

// agentEnv marks the process that is to hold a host.
const agentEnv = "WGD_LAB_AGENT"

// BecomeAgent does not return in a process that was started to hold a host.
// It must be called before anything else: from TestMain, or first in main.
func BecomeAgent() {
	if os.Getenv(agentEnv) != "" {
		runAgent()
		os.Exit(0)
	}
}

// Main is a TestMain's: it builds what runs on the hosts and runs the tests of a
// part of the whole. On a machine that cannot have simulated hosts, or does not
// have the programs, it leaves the part out, loudly, and says of what nothing was
// proved; CI must have them. The result is for os.Exit.
func Main(m interface{ Run() int }, part, unproved string, build func() error, programs ...string) int {
	if what := Missing(programs...); what != "" {
		fmt.Printf("\n*** %s: LEFT OUT, ALL OF IT. It needs %s.\n"+
			"*** Nothing was proved about %s. Run it as root: sudo make %s\n\n", part, what, unproved, part)
		if os.Getenv("CI") == "true" {
			return 1
		}
		return 0
	}
	defer RemoveBinaries()
	if err := build(); err != nil {
		fmt.Println(err)
		return 1
	}
	return m.Run()
}

// Missing says what this machine lacks for simulated hosts, and of the programs
// that are wanted besides; "" when nothing.
func Missing(programs ...string) string {
	if os.Geteuid() != 0 {
		return "root: namespaces, veth pairs and /dev/net/tun are for root only"
	}
	if f, err := os.OpenFile("/dev/net/tun", os.O_RDWR, 0); err != nil {
		return "a TUN device: " + err.Error()
	} else {
		f.Close()
	}
	for _, name := range append([]string{"ip", "nsenter", "ping", "sysctl"}, programs...) {
		if _, err := exec.LookPath(name); err != nil {
			return "the program " + name + ", which `make setup` installs"
		}
	}
	return ""
}

// Root is the top folder of the tree: the one whose go.mod says module wgd.
func Root() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for ; dir != "/"; dir = filepath.Dir(dir) {
		text, err := os.ReadFile(filepath.Join(dir, "go.mod"))
		if err == nil && strings.HasPrefix(string(text), "module wgd\n") {
			return dir, nil
		}
	}
	return "", fmt.Errorf("no go.mod of module wgd above the working directory")
}

// Binaries are programs built for one run; every host has them in its PATH.
type Binaries struct {
	Dir  string
	Race bool // ours were built with the race detector
}

var (
	binariesMu sync.Mutex
	binaries   Binaries
)

// Build builds the commands of the tree, once for a run, and returns where they
// are. E2E_RACE=1 builds them with the race detector; E2E_BIN names a folder
// with programs to test instead.
func Build() (Binaries, error) {
	binariesMu.Lock()
	defer binariesMu.Unlock()
	if binaries.Dir != "" {
		return binaries, nil
	}
	if dir := os.Getenv("E2E_BIN"); dir != "" {
		return Binaries{Dir: dir}, nil
	}
	root, err := Root()
	if err != nil {
		return Binaries{}, err
	}
	dir, err := os.MkdirTemp("", "wgd-lab-")
	if err != nil {
		return Binaries{}, err
	}
	b := Binaries{Dir: dir, Race: os.Getenv("E2E_RACE") == "1"}
	args := []string{"build", "-o", dir + "/"}
	if b.Race {
		args = append(args, "-race")
	}
	if err := goRun(root, append(args, "./cmd/...")...); err != nil {
		os.RemoveAll(dir)
		return Binaries{}, err
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		return Binaries{}, err
	}
	binaries = b
	return b, nil
}

// BuildPlainly makes Build, and all else here, take no notice of E2E_RACE, E2E_BIN
// and LAB_DAEMON: who measures wants what the tree has, built as it is installed.
func BuildPlainly() {
	for _, name := range []string{"E2E_RACE", "E2E_BIN", "LAB_DAEMON"} {
		os.Unsetenv(name)
	}
}

// BuildFrom builds another program beside ours: dir is the folder of the module
// that pins it, out the program's name; flags are go build's.
func BuildFrom(dir, pkg, out string, flags ...string) error {
	b, err := Build()
	if err != nil {
		return err
	}
	args := append([]string{"build", "-o", filepath.Join(b.Dir, out)}, flags...)
	return goRun(dir, append(args, pkg)...)
}

// RemoveBinaries ends the run.
func RemoveBinaries() {
	binariesMu.Lock()
	defer binariesMu.Unlock()
	if binaries.Dir != "" {
		os.RemoveAll(binaries.Dir)
		binaries = Binaries{}
	}
}

func goRun(dir string, args ...string) error {
	cmd := exec.Command("go", args...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return nil
}

// Until asks again, ten times a second, until ok says yes; after the time it
// fails the test with what ok said last.
func Until(t T, limit time.Duration, what string, ok func() (bool, string)) {
	t.Helper()
	deadline := time.Now().Add(limit)
	for {
		done, last := ok()
		if done {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: not within %v; last seen: %s", what, limit, last)
		}
		time.Sleep(100 * time.Millisecond)
	}
}
