package main

import (
	"archive/zip"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const keyfileText = "[connection]\nid=office\ntype=wireguard\ninterface-name=wg7\nzone=home\n[wireguard]\nprivate-key=" + checkKey +
	"\n[wireguard-peer." + checkPeer + "]\nallowed-ips=10.0.0.0/8;\nendpoint=192.0.2.1:51820\n"

const keyfileImported = "[Interface]\nPrivateKey = " + checkKey + "\n\n[Peer]\nPublicKey = " + checkPeer + "\nAllowedIPs = 10.0.0.0/8\nEndpoint = 192.0.2.1:51820\n"

// source writes a file to import.
func source(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// The file goes to standard output, and what was not carried over to standard
// error.
func TestImportToStandardOutput(t *testing.T) {
	path := source(t, "office.nmconnection", keyfileText)
	status, stdout, stderr := run("import", path)
	want := "wgd: " + path + ":5: zone: not carried over: the zone of firewalld: set it with firewall-cmd --zone=ZONE --change-interface=NAME\n"
	if status != 0 || stdout != keyfileImported || stderr != want {
		t.Errorf("exit status %d\n%s%s", status, stdout, stderr)
	}
}

// With -o each tunnel has a file for its owner alone. A file that exists stays,
// and so does a link's target, and then no other is written, but with --force.
func TestImportToAFolder(t *testing.T) {
	archive := filepath.Join(t.TempDir(), "provider.zip")
	file, err := os.Create(archive)
	if err != nil {
		t.Fatal(err)
	}
	w := zip.NewWriter(file)
	for _, name := range []string{"wg1.conf", "../../wg2.conf"} {
		entry, err := w.Create(name)
		if err == nil {
			_, err = entry.Write([]byte(keyfileImported))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	file.Close()

	status, stdout, stderr := run("import", archive)
	if status != 1 || stdout != "" || !strings.Contains(stderr, "2 tunnels: give the folder for their files with -o DIR") {
		t.Errorf("exit status %d\n%s%s", status, stdout, stderr)
	}
	folder := t.TempDir()
	other := source(t, "other", "stays")
	second := filepath.Join(folder, "wg2.conf")
	if err := os.Symlink(other, second); err != nil {
		t.Fatal(err)
	}
	status, stdout, stderr = run("import", "-o", folder, archive)
	if want := "wgd: " + second + ": the file exists: remove it, or replace it with --force\n"; status != 1 || stdout != "" || stderr != want {
		t.Errorf("exit status %d\n%s%s", status, stdout, stderr)
	}
	if left, _ := os.ReadDir(folder); len(left) != 1 {
		t.Errorf("%v", left)
	}
	status, stdout, stderr = run("import", "--force", "-o", folder, archive)
	if want := filepath.Join(folder, "wg1.conf") + ": peers: 1\n" + second + ": peers: 1\n"; status != 0 || stdout != want || stderr != "" {
		t.Errorf("exit status %d\n%s%s", status, stdout, stderr)
	}
	for _, name := range []string{"wg1.conf", "wg2.conf"} {
		info, err := os.Lstat(filepath.Join(folder, name))
		if err != nil || info.Mode() != 0o600 {
			t.Errorf("%v, %v", info, err)
		}
	}
	if text, _ := os.ReadFile(other); string(text) != "stays" {
		t.Errorf("the target of a link became %q", text)
	}
	if left, _ := os.ReadDir(folder); len(left) != 2 {
		t.Errorf("%v", left)
	}
}

// The JSON has no key, and says what was written.
func TestImportPrintsJSON(t *testing.T) {
	path := source(t, "office.nmconnection", keyfileText)
	folder := t.TempDir()
	status, stdout, stderr := run("import", "--json", "-o", folder, path)
	var got imported
	if err := json.Unmarshal([]byte(stdout), &got); err != nil || status != 0 || stderr != "" || strings.Contains(stdout, checkKey) {
		t.Fatalf("exit status %d, %v\n%s%s", status, err, stdout, stderr)
	}
	if len(got.Tunnels) != 1 || got.Tunnels[0] != (importedTunnel{"wg7", path, filepath.Join(folder, "wg7.conf"), 1}) {
		t.Errorf("%+v", got.Tunnels)
	}
	if len(got.Notes) != 1 || got.Notes[0].Line != 5 || got.Notes[0].Key != "zone" || got.Notes[0].Kind != "lost" {
		t.Errorf("%+v", got.Notes)
	}
	if status, stdout, _ = run("import", "--json", path); status != 0 || !strings.Contains(stdout, `"file": ""`) {
		t.Errorf("exit status %d\n%s", status, stdout)
	}
}

// A file that is not there, one that is nothing of the kind, a folder that is not
// there, and drop-ins, which systemd reads and wgd does not.
func TestImportSaysWhatItCannot(t *testing.T) {
	path := source(t, "wg0.netdev", "[NetDev]\nName=wg0\nKind=wireguard\n[WireGuard]\nPrivateKey="+checkKey+"\n")
	if err := os.MkdirAll(path+".d", 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path+".d/more.conf", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args   []string
		status int
		want   string
	}{
		{[]string{"import"}, 2, "usage: wgd import FILE..."},
		{[]string{"import", "/no/such/file"}, 1, "wgd: /no/such/file: no such file or directory: correct the path, or its permissions\n"},
		{[]string{"import", "/dev/null"}, 1, "wgd: /dev/null: not imported: no configuration of WireGuard that is known here"},
		{[]string{"import", "-o", "/no/such/folder", path}, 1, "wgd: /no/such/folder/wg0.conf: no such file or directory: correct the folder, or its permissions\n"},
		{[]string{"import", path}, 0, "wgd: " + path + ": not carried over: the drop-in files in " + path + ".d"},
		{[]string{"import", path, "/dev/null"}, 1, "wgd: /dev/null: not imported"},
	} {
		if status, _, stderr := run(c.args...); status != c.status || !strings.Contains(stderr, c.want) {
			t.Errorf("%q: exit status %d\n%s", c.args, status, stderr)
		}
	}
}
