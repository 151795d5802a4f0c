package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"wgd/test/lab"
)

// systemd understands every line of the unit, finds nothing to complain about, and counts
// it as well protected.
func TestUnit(t *testing.T) {
	t.Parallel()
	if missing := lab.Missing("systemd-analyze"); missing != "" {
		if os.Getenv("CI") == "true" {
			t.Fatal(missing)
		}
		t.Skipf("NOT TESTED: the unit of systemd: there is no %s", missing)
	}
	root, err := lab.Root()
	if err != nil {
		t.Fatal(err)
	}
	unit, err := os.ReadFile(filepath.Join(root, "packaging/systemd/wgd@.service"))
	if err != nil {
		t.Fatal(err)
	}
	system := t.TempDir()
	write := func(path, text string, mode os.FileMode) {
		path = filepath.Join(system, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
	}
	write("usr/bin/wgd", "#!/bin/sh\n", 0o755)
	for _, name := range []string{"sysinit", "basic", "network-online", "nss-lookup", "shutdown", "multi-user"} {
		write("usr/lib/systemd/system/"+name+".target", "[Unit]\nDescription="+name+"\n", 0o644)
	}
	analyze := func(arguments ...string) (string, error) {
		said, err := exec.Command("systemd-analyze", arguments...).CombinedOutput()
		return string(said), err
	}
	const path = "etc/systemd/system/wgd@.service"
	write(path, string(unit), 0o644)
	if said, err := analyze("verify", "--man=no", "--root="+system, "wgd@wg0.service"); err != nil || said != "" {
		t.Errorf("systemd-analyze verify: %v: %s", err, said)
	}
	// 30 is 3.0, of 10, where systemd says OK; with all privileges it would be 9.6.
	if said, err := analyze("security", "--offline=true", "--no-pager", "--threshold=30", filepath.Join(system, path)); err != nil {
		t.Errorf("systemd-analyze security: %v: %s", err, said)
	}

	write(path, strings.Replace(string(unit), "KillMode=", "KillMod=", 1), 0o644)
	if said, _ := analyze("verify", "--man=no", "--root="+system, "wgd@wg0.service"); !strings.Contains(said, "KillMod") {
		t.Errorf("systemd-analyze accepts a key that does not exist: this test proves nothing: %s", said)
	}
}
