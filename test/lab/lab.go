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

// Missing says what this machine lacks for simulated hosts, "" when nothing.
func Missing() string {
	if os.Geteuid() != 0 {
		return "root: namespaces, veth pairs and /dev/net/tun are for root only"
	}
	if f, err := os.OpenFile("/dev/net/tun", os.O_RDWR, 0); err != nil {
		return "a TUN device: " + err.Error()
	} else {
		f.Close()
	}
	for _, name := range []string{"ip", "nsenter", "ping", "sysctl"} {
		if _, err := exec.LookPath(name); err != nil {
			return "the program " + name + ", see .ci/run for what to install"
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
