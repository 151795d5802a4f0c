package e2e

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"wgd/test/lab"
)

// readUnit returns the text of the unit of a program.
func readUnit(t *testing.T, program string) string {
	t.Helper()
	root, err := lab.Root()
	if err != nil {
		t.Fatal(err)
	}
	unit, err := os.ReadFile(filepath.Join(root, "packaging/systemd", program+"@.service"))
	if err != nil {
		t.Fatal(err)
	}
	return string(unit)
}

// systemd understands every line of the units, finds nothing to complain about, and counts
// the protections that they can have as set.
func TestUnit(t *testing.T) {
	t.Parallel()
	if missing := lab.Missing("systemd-analyze"); missing != "" {
		if os.Getenv("CI") == "true" {
			t.Fatal(missing)
		}
		t.Skipf("NOT TESTED: the unit of systemd: there is no %s", missing)
	}
	t.Run("wgd", func(t *testing.T) { analyzeUnit(t, "wgd") })
	t.Run("wgd-peers", func(t *testing.T) { analyzeUnit(t, "wgd-peers") })
}

// analyzeUnit has systemd-analyze look at the unit of a program.
func analyzeUnit(t *testing.T, program string) {
	unit := readUnit(t, program)
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
	write("usr/bin/"+program, "#!/bin/sh\n", 0o755)
	for _, name := range []string{"sysinit", "basic", "network-online", "nss-lookup", "shutdown", "multi-user"} {
		write("usr/lib/systemd/system/"+name+".target", "[Unit]\nDescription="+name+"\n", 0o644)
	}
	analyze := func(arguments ...string) (string, error) {
		said, err := exec.Command("systemd-analyze", arguments...).CombinedOutput()
		return string(said), err
	}
	path := "etc/systemd/system/" + program + "@.service"
	write(path, unit, 0o644)
	if said, err := analyze("verify", "--man=no", "--root="+system, program+"@wg0.service"); err != nil || said != "" {
		t.Errorf("systemd-analyze verify: %v: %s", err, said)
	}
	said, err := analyze("security", "--offline=true", "--no-pager", "--json=short", filepath.Join(system, path))
	if err != nil {
		t.Fatalf("systemd-analyze security: %v: %s", err, said)
	}
	protected(t, said)

	write(path, strings.Replace(unit, "NotifyAccess=", "NotifyAcces=", 1), 0o644)
	if said, _ := analyze("verify", "--man=no", "--root="+system, program+"@wg0.service"); !strings.Contains(said, "NotifyAcces") {
		t.Errorf("systemd-analyze accepts a key that does not exist: this test proves nothing: %s", said)
	}
}

// protections are what the unit has, by the names of systemd-analyze security. Its overall
// score is not compared: it depends on the version, which decides what counts and how much.
const protections = `NoNewPrivileges PrivateTmp LockPersonality MemoryDenyWriteExecute SystemCallArchitectures
ProtectClock ProtectControlGroups ProtectHostname ProtectKernelLogs ProtectKernelModules ProtectProc
RestrictRealtime RestrictSUIDSGID RestrictAddressFamilies_AF_PACKET RestrictAddressFamilies_OTHER
RestrictNamespaces_cgroup RestrictNamespaces_ipc RestrictNamespaces_mnt RestrictNamespaces_net
RestrictNamespaces_pid RestrictNamespaces_user RestrictNamespaces_uts
SystemCallFilter_clock SystemCallFilter_cpu_emulation SystemCallFilter_debug SystemCallFilter_module SystemCallFilter_mount
SystemCallFilter_obsolete SystemCallFilter_raw_io SystemCallFilter_reboot SystemCallFilter_swap
CapabilityBoundingSet_CAP_SYS_ADMIN CapabilityBoundingSet_CAP_SYS_MODULE CapabilityBoundingSet_CAP_SYS_PTRACE
CapabilityBoundingSet_CAP_SYS_RAWIO CapabilityBoundingSet_CAP_DAC_FOWNER_IPC_OWNER CapabilityBoundingSet_CAP_SET_UID_GID_PCAP`

// protected fails if one of the protections is not set. A version may lack some of them.
func protected(t *testing.T, text string) {
	t.Helper()
	var rows []struct {
		Set         *bool
		Name        string `json:"json_field"`
		Description string
	}
	if err := json.Unmarshal([]byte(text), &rows); err != nil {
		t.Fatalf("systemd-analyze security: %v: %s", err, text)
	}
	wanted := strings.Fields(protections)
	found := 0
	for _, r := range rows {
		if !slices.Contains(wanted, r.Name) {
			continue
		}
		found++
		if r.Set == nil || !*r.Set {
			t.Errorf("%s: not set: %s", r.Name, r.Description)
		}
	}
	if found < len(wanted)*3/4 {
		t.Errorf("systemd-analyze knows %d of %d protections: this test proves nothing: %s", found, len(wanted), text)
	}
}
