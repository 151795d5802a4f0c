package archtest

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// otherModule uses the library as another module does.
const otherModule = `package program

import (
	"wgd/netstack"
	"wgd/wg"
)

// Open opens a tunnel from a file.
func Open(path string) (*wg.Interface, *netstack.Stack, error) {
	file, err := wg.ReadFile(path)
	if err != nil {
		return nil, nil, err
	}
	defer file.Erase()
	stack, err := netstack.New(netstack.Options{Addresses: file.Addresses, NameServers: file.NameServers})
	if err != nil {
		return nil, nil, err
	}
	w, err := wg.Open(wg.Options{Name: "wg0", Device: stack})
	if err != nil {
		return nil, nil, err
	}
	return w, stack, w.Apply(file.Change)
}
`

// TestOtherModulesCanImport: the go.mod that README.md describes lets another module
// build a program with the library. Instead of go mod tidy, which may need the
// network, it gets our go.sum.
func TestOtherModulesCanImport(t *testing.T) {
	const where = "=../wgd"
	page, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, edit, found := strings.Cut(string(page), "\n    go mod edit ")
	edit, _, _ = strings.Cut(edit, "\n")
	if !found || !strings.HasSuffix(edit, where) {
		t.Fatalf("README.md has no line go mod edit that ends with %s: %q", where, edit)
	}
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	sums, err := os.ReadFile("../../go.sum")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, text := range map[string]string{"program.go": otherModule, "go.sum": string(sums)} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	run := func(args ...string) {
		t.Helper()
		cmd := exec.Command("go", args...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "GOFLAGS=-mod=mod", "GOPROXY=off", "GOWORK=off")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
	run("mod", "init", "example.org/program")
	run(append([]string{"mod", "edit"}, strings.Fields(strings.TrimSuffix(edit, where)+"="+root)...)...)
	run("build", "./...")
}

// TestStoresAreInNoDaemon: what the stores of wgd-peers need is required by its own module
// only, so that no other program can contain it.
func TestStoresAreInNoDaemon(t *testing.T) {
	requires := func(file string) (found []string) {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"modernc.org/", "go.etcd.io/"} {
			if strings.Contains(string(text), name) {
				found = append(found, name)
			}
		}
		return found
	}
	for _, file := range []string{"../../go.mod", "../../go.sum"} {
		if found := requires(file); len(found) > 0 {
			t.Errorf("%s has %q: only %s may require them", file, found, peersModule)
		}
	}
	if found := requires("../../" + peersModule + "/go.mod"); len(found) == 0 {
		t.Errorf("%s requires no store: correct this test", peersModule)
	}
}
