package archtest

import (
	"go/ast"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// setUpLine matches a line of the list in test/setup.sh.
var setUpLine = regexp.MustCompile(`(?m)^([a-z0-9-]+) +([\w/.-]+) {1,}\S.*$`)

// setUpList returns the packages of test/setup.sh, by the program or file that shows
// that one is installed.
func setUpList(t *testing.T) map[string]string {
	script, err := os.ReadFile("../../test/setup.sh")
	if err != nil {
		t.Fatal(err)
	}
	_, list, _ := strings.Cut(string(script), "\nneeded='\n")
	list, _, found := strings.Cut(list, "'\n")
	packages := map[string]string{}
	for _, m := range setUpLine.FindAllStringSubmatch(list, -1) {
		packages[m[2]] = m[1]
	}
	if !found || len(packages) != strings.Count(list, "\n") {
		t.Fatalf("test/setup.sh: only %d lines of its list have the right form:\n%s", len(packages), list)
	}
	return packages
}

// programsOfDebian need not be installed: they are part of every Debian, or run the
// tests.
var programsOfDebian = []string{"sh", "bash", "echo", "go"}

// TestSetUpIsComplete: test/setup.sh installs each program that a test names.
func TestSetUpIsComplete(t *testing.T) {
	packages, found := setUpList(t), 0
	for _, s := range everything(t) {
		for _, name := range calledPrograms(s) {
			found++
			if packages[name] == "" && !slices.Contains(programsOfDebian, name) {
				t.Errorf("%s calls %s, which test/setup.sh does not install: add a line to its list", s.path, name)
			}
		}
	}
	if found < 20 {
		t.Errorf("only %d calls of programs found in tests", found)
	}
}

// alternatives are programs that a test uses only if they are installed.
var alternatives = []string{"mandoc"}

// calledPrograms returns the programs that the calls in a file for tests name.
func calledPrograms(s source) (names []string) {
	if !s.isTest() && !strings.HasPrefix(s.path, "test/") {
		return nil
	}
	ast.Inspect(s.file, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return true
		}
		f, ok := call.Fun.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		first, last := 0, 0 // which arguments are names of programs
		switch f.Sel.Name {
		case "LookPath", "Command":
			last = 1
		case "CommandContext":
			first, last = 1, 2
		case "Missing":
			last = len(call.Args)
		case "Main": // of test/lab
			first, last = 4, len(call.Args)
		}
		for i := first; i < min(last, len(call.Args)); i++ {
			text, ok := call.Args[i].(*ast.BasicLit)
			if !ok {
				continue
			}
			name, err := strconv.Unquote(text.Value)
			if err == nil && !strings.Contains(name, "/") && !slices.Contains(alternatives, name) {
				names = append(names, name)
			}
		}
		return true
	})
	return names
}

// TestCalledProgramsAreSeen tests the check itself.
func TestCalledProgramsAreSeen(t *testing.T) {
	const text = `package p
		var _ = exec.Command("ip", "link")
		var _ = exec.CommandContext(ctx, "nft", "list")
		var _, _ = exec.LookPath("wg")
		var _ = lab.Missing("ping", "ss")
		var _ = lab.Main(m, "part", "unproved", build, "wg-quick")
		var _ = exec.Command("/proc/self/exe", "-test.run=X")
		var _ = exec.Command(name, "x")`
	want := []string{"ip", "nft", "wg", "ping", "ss", "wg-quick"}
	if got := calledPrograms(parse(t, "p/p_test.go", text)); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := calledPrograms(parse(t, "p/p.go", text)); len(got) > 0 {
		t.Errorf("a file that is no test calls %q, want none to be found", got)
	}
}

// TestPackagesAreListedOnce: CI runs the command that README.md shows, and installs
// nothing itself.
func TestPackagesAreListedOnce(t *testing.T) {
	ci, err := os.ReadFile("../../.ci/run")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasSuffix(string(ci), "\nmake test\n") {
		t.Error(".ci/run does not end with make test")
	}
	for _, word := range []string{"apt", "dpkg", "iproute2", "wireguard-tools"} {
		if strings.Contains(string(ci), word) {
			t.Errorf(".ci/run has %s: packages are installed by test/setup.sh", word)
		}
	}
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(readme), "\n    make test ") {
		t.Error("README.md does not show make test")
	}
}

// A fakeSystem is a folder with the programs that test/setup.sh calls or looks for.
type fakeSystem struct {
	t   *testing.T
	dir string
}

func newFakeSystem(t *testing.T, without []string) fakeSystem {
	s := fakeSystem{t, t.TempDir()}
	for name := range setUpList(t) {
		if !slices.Contains(without, name) {
			s.program(name, "exit 0")
		}
	}
	for _, name := range []string{"sort", "tr", "chmod", "mkdir", "rm"} {
		path, err := exec.LookPath(name)
		if err != nil {
			t.Fatal(err)
		}
		s.program(name, `exec `+path+` "$@"`)
	}
	return s
}

func (s fakeSystem) program(name, script string) {
	file := filepath.Join(s.dir, name)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		s.t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte("#!/bin/sh\n"+script+"\n"), 0o755); err != nil {
		s.t.Fatal(err)
	}
}

// setUp runs test/setup.sh. It returns the output, the calls of apt-get and the exit
// status.
func (s fakeSystem) setUp(ci bool) (says, calls string, status int) {
	cmd := exec.Command("/bin/sh", "../../test/setup.sh")
	cmd.Env = []string{"PATH=" + s.dir, "SBIN=" + s.dir, "ROOT=" + s.dir}
	if ci {
		cmd.Env = append(cmd.Env, "CI=true")
	}
	out, _ := cmd.CombinedOutput()
	log, _ := os.ReadFile(filepath.Join(s.dir, "calls"))
	return string(out), string(log), cmd.ProcessState.ExitCode()
}

// TestSetUp runs test/setup.sh on fake systems, and checks what it installs and prints,
// and its exit status.
func TestSetUp(t *testing.T) {
	const (
		installs = `echo "apt-get $*" >> "$ROOT/calls"
			[ "$1" != install ] || for p in fish nft; do echo true > "$ROOT/$p"; chmod +x "$ROOT/$p"; done`
		installsNothing = `echo "apt-get $*" >> "$ROOT/calls"`
		fails           = installsNothing + "; exit 100"
		root, user      = "echo 0", "echo 1000"
		update          = "apt-get update -q\n"
		install         = "apt-get install -q -y --no-install-recommends "
		downloads       = installsNothing + `; [ "$1" != download ] || echo deb > "$3.deb"`
		download        = "apt-get download -q "
	)
	for name, c := range map[string]struct {
		without []string // missing programs
		apt, id string   // what these programs do; "": they are missing
		ci      bool
		status  int
		calls   string
		says    []string // parts of the output; none: it is empty
	}{
		"all is there":            {apt: fails, id: root, ci: true},
		"a fresh Debian, as root": {[]string{"fish", "nft"}, installs, root, true, 0, update + install + "fish nftables\n", []string{"installing what the tests call: fish nftables"}},
		"Debian, as another user": {[]string{"fish", "nft"}, fails, user, false, 0, "", []string{"    fish ", "    nft ", "(package nftables)", "as root: apt-get install fish nftables\n", "left out"}},
		"the same in CI":          {[]string{"nft"}, fails, user, true, 1, "", []string{"apt-get install nftables\n"}},
		"another system":          {[]string{"nft"}, "", root, false, 0, "", []string{"    nft ", "names are Debian's", "left out"}},
		"Debian without network":  {[]string{"nft"}, fails, root, false, 0, update, []string{"apt-get install nftables\n", "left out"}},
		"a package without the program": {[]string{"wg"}, installsNothing, root, true, 1, update + install + "wireguard-tools\n",
			[]string{"    wg ", "(package wireguard-tools)"}},
		"a package to unpack, as root": {[]string{"/var/cache/wgd-tests/openresolv/sbin/resolvconf"}, downloads, root, true, 0, update + download + "openresolv\n",
			[]string{"unpacking openresolv"}},
		"a package to unpack, as another user": {[]string{"/var/cache/wgd-tests/openresolv/sbin/resolvconf"}, fails, user, false, 0, "",
			[]string{"(package openresolv)", "To unpack openresolv, as root: sh test/setup.sh\n"}},
		"no header": {[]string{"/usr/include/stdio.h"}, fails, user, false, 0, "", []string{"apt-get install libc6-dev\n"}},
	} {
		t.Run(name, func(t *testing.T) {
			system := newFakeSystem(t, c.without)
			system.program("dpkg-deb", `[ "$(read -r what < "$2"; echo "$what")" = deb ] && mkdir "$3/sbin" && echo > "$3/sbin/resolvconf"`)
			for name, script := range map[string]string{"apt-get": c.apt, "id": c.id} {
				if script != "" {
					system.program(name, script)
				}
			}
			says, calls, status := system.setUp(c.ci)
			if status != c.status || calls != c.calls {
				t.Errorf("the exit status is %d, want %d; the calls of apt-get are\n%swant\n%s", status, c.status, calls, c.calls)
			}
			for _, want := range c.says {
				if !strings.Contains(says, want) {
					t.Errorf("the output does not contain %q:\n%s", want, says)
				}
			}
			if len(c.says) == 0 && says != "" {
				t.Errorf("the output is %q, want nothing", says)
			}
		})
	}
}
