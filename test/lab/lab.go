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

// T is the part of testing.T that the lab needs. Bound makes another one.
type T interface {
	Helper()
	Failed() bool
	Cleanup(func())
	Logf(format string, args ...any)
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
}

// agentEnv is set in the process that becomes the agent of a host.
const agentEnv = "WGD_LAB_AGENT"

// BecomeAgent runs the agent if this process was started as one, and then does not
// return. It must be called before anything else, from TestMain or main.
func BecomeAgent() {
	if os.Getenv(agentEnv) != "" {
		runAgent()
		os.Exit(0)
	}
}

// Main is for TestMain: it builds what runs on the hosts, runs the tests of a part
// of make test, and returns the exit status. If the machine cannot have simulated
// hosts, or lacks one of the programs, Main leaves the part out, and prints what was
// not proved. In CI that is a failure.
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

// Missing returns what this machine lacks to have simulated hosts and the given
// programs, or "".
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

// Root returns the root of the tree: the folder whose go.mod has the module wgd.
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

// Binaries are the programs that were built for this run. Every host has them in its
// PATH.
type Binaries struct {
	Dir  string
	Race bool // ours were built with the race detector
}

var (
	binariesMu sync.Mutex
	binaries   Binaries
)

// Build builds the commands of the tree, once per run, and returns where they are.
// E2E_RACE=1 builds them with the race detector. E2E_BIN names a folder with other
// programs to test.
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

// BuildPlainly makes the lab ignore E2E_RACE, E2E_BIN and LAB_DAEMON: a measurement
// needs the programs of the tree, built as they are installed.
func BuildPlainly() {
	for _, name := range []string{"E2E_RACE", "E2E_BIN", "LAB_DAEMON"} {
		os.Unsetenv(name)
	}
}

// BuildFrom builds another program. dir is the folder of the module that pins its
// version, out is the name of the program, and flags are those of go build.
func BuildFrom(dir, pkg, out string, flags ...string) error {
	b, err := Build()
	if err != nil {
		return err
	}
	args := append([]string{"build", "-o", filepath.Join(b.Dir, out)}, flags...)
	return goRun(dir, append(args, pkg)...)
}

// RemoveBinaries removes what was built.
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

// Until calls ok ten times a second until it returns true. After the limit it fails
// the test with the text that ok returned last.
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

// Unpacked returns the folder of a Debian package that test/setup.sh unpacked, on this
// machine and on all hosts.
func Unpacked(name string) string { return "/var/cache/wgd-tests/" + name }
