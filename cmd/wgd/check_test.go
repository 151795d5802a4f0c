package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"
)

const (
	checkKey  = "yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk="
	checkPeer = "40kXwfNgtFw5PDy74YUZUBoHH054uIf7Xn31dSvuegg="
)

// check writes a file, and runs wgd check with it.
func check(t *testing.T, name, text string, mode os.FileMode, options ...string) (status int, stdout, stderr, path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	status, stdout, stderr = run(append([]string{"check", path}, options...)...)
	return status, stdout, stderr, path
}

// For a valid file, check prints the number of peers, and nothing of its contents.
func TestCheckOfAGoodFile(t *testing.T) {
	status, stdout, stderr, path := check(t, "wg0.conf", "[Interface]\nPrivateKey = "+checkKey+"\n[Peer]\nPublicKey = "+checkPeer+"\nAllowedIPs = ::/0\n", 0o600)
	if status != 0 || stdout != path+": no errors: interface wg0, peers: 1\n" || stderr != "" {
		t.Errorf("exit status %d\n%s%s", status, stdout, stderr)
	}
}

// check prints all errors, each with its line, and the warnings in between, but no key.
// The exit status is 1.
func TestCheckReportsAllProblems(t *testing.T) {
	text := "[Interface]\nPrivateKey = " + checkKey[1:] + "\nMTU = 5\nMTU = 6\n[Peer]\nAllowedIPs = x\n"
	status, stdout, stderr, path := check(t, "wg0.conf", text, 0o644)
	want := strings.ReplaceAll(`wgd: warning: FILE: others may read this file, and its keys: chmod 600 it
wgd: FILE:2: PrivateKey: private key: 43 characters: write the 32 bytes as 44 characters of base64
wgd: FILE:3: MTU 5: give a number from 68 to 65535, or no such line
wgd: warning: FILE:4: MTU is also on line 3: this one counts
wgd: FILE:4: MTU 6: give a number from 68 to 65535, or no such line
wgd: FILE:5: [Peer] without a PublicKey: a peer is identified by its public key
wgd: FILE:6: AllowedIPs x: write ADDRESS/LENGTH, with a length of at most 32 for IPv4 and 128 for IPv6
`, "FILE", path)
	if status != 1 || stdout != "" || stderr != want {
		t.Errorf("exit status %d\n%s%s\nwant:\n%s", status, stdout, stderr, want)
	}
}

// check reads key files, relative to the folder of the file. A credential of
// systemd need not exist.
func TestCheckReadsKeyFiles(t *testing.T) {
	path := filepath.Join(t.TempDir(), "wg0.conf")
	write := func(file, text string, mode os.FileMode) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(filepath.Dir(path), file), []byte(text), mode); err != nil {
			t.Fatal(err)
		}
	}
	write("wg0.conf", "[Interface]\nPrivateKeyFile = key\n[Peer]\nPublicKey = "+checkPeer+"\nAllowedIPs = ::/0\nPresharedKeyFile = $CREDENTIALS_DIRECTORY/psk\n", 0o600)
	const notRead = ":6: PresharedKeyFile $CREDENTIALS_DIRECTORY/psk: not read: $CREDENTIALS_DIRECTORY is not set; systemd sets it for a service with LoadCredential=\n"
	t.Setenv("CREDENTIALS_DIRECTORY", "")
	status, _, stderr := run("check", path)
	if want := "wgd: " + path + ":2: PrivateKeyFile key: no such file or directory: correct the path, or its permissions\nwgd: warning: " + path + notRead; status != 1 || stderr != want {
		t.Errorf("exit status %d\n%s\nwant:\n%s", status, stderr, want)
	}
	write("key", checkKey+"\n", 0o644)
	status, _, stderr = run("check", path)
	if want := "wgd: warning: " + path + ":2: PrivateKeyFile key: others may read this file: chmod 600 it\nwgd: warning: " + path + notRead; status != 0 || stderr != want {
		t.Errorf("exit status %d\n%s\nwant:\n%s", status, stderr, want)
	}
	t.Setenv("CREDENTIALS_DIRECTORY", filepath.Dir(path))
	write("psk", checkKey, 0o600)
	if status, _, stderr = run("check", path); status != 0 || strings.Contains(stderr, "psk") {
		t.Errorf("exit status %d\n%s", status, stderr)
	}
}

// With --json, check prints an object.
func TestCheckPrintsJSON(t *testing.T) {
	status, stdout, stderr, path := check(t, "office.conf", "[Interface]\nMTU = 5\n", 0o600, "--json")
	var got checked
	if err := json.Unmarshal([]byte(stdout), &got); err != nil || status != 1 || stderr != "" {
		t.Fatalf("exit status %d, %v\n%s%s", status, err, stdout, stderr)
	}
	want := checked{File: path, Interface: "office", Problems: []checkedProblem{
		{path, 0, "warning", "no PrivateKey and no PrivateKeyFile: there will be no handshake until another command sets a key"},
		{path, 2, "error", "MTU 5: give a number from 68 to 65535, or no such line"},
	}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
	status, stdout, _, _ = check(t, "office.conf", "[Interface]\nPrivateKey="+checkKey+"\n", 0o600, "--json")
	if status != 0 || !strings.Contains(stdout, `"ok": true`) || !strings.Contains(stdout, `"problems": []`) {
		t.Errorf("exit status %d\n%s", status, stdout)
	}
}

// check reads files of wireproxy, whatever their names are, and counts the services. A
// variable that is not set here is no error.
func TestCheckOfAFileOfWireproxy(t *testing.T) {
	text := "[Interface]\nPrivateKey = $WGD_TEST_UNSET\n[Peer]\nPublicKey = " + checkPeer + "\n[socks5]\nBindAddress = 127.0.0.1:1080\n[http]\nBindAddress = :8080\n"
	status, stdout, stderr, path := check(t, "a file of wireproxy", text, 0o600)
	want := "wgd: warning: " + path + ": no PrivateKey and no PrivateKeyFile: there will be no handshake until another command sets a key\n" +
		"wgd: warning: " + path + ":2: PrivateKey: the environment variable WGD_TEST_UNSET is not set here\n"
	if status != 0 || stdout != path+": no errors: peers: 1, services: 2\n" || stderr != want {
		t.Errorf("exit status %d\n%s%s\nwant:\n%s", status, stdout, stderr, want)
	}
	if status, _, stderr, path = check(t, "wp.conf", "WGConfig = /nowhere/wg0.conf\n[http]\n", 0o600); status != 1 ||
		!strings.HasPrefix(stderr, "wgd: "+path+":1: WGConfig /nowhere/wg0.conf: no such file or directory: ") || !strings.Contains(stderr, path+":2: [http] has no BindAddress") {
		t.Errorf("exit status %d\n%s", status, stderr)
	}
}

// Usage errors, missing files, and file names that are not those of an
// interface. A name is looked up in /etc/wireguard.
func TestCheckWithoutAFile(t *testing.T) {
	for _, c := range []struct {
		args   []string
		status int
		want   string
	}{
		{[]string{"check"}, 2, "usage: wgd check CONF"},
		{[]string{"check", "a", "b"}, 2, "usage: wgd check CONF"},
		{[]string{"check", "no-such-wg"}, 1, "wgd: /etc/wireguard/no-such-wg.conf: no such file or directory: correct the path, or its permissions\n"},
		{[]string{"check", "./my vpn.conf"}, 1, "wgd: ./my vpn.conf: the name of a configuration file is that of its interface and .conf: "},
		{[]string{"check", "/dev/null"}, 1, "rename it, to wg0.conf for example"},
	} {
		if status, stdout, stderr := run(c.args...); status != c.status || stdout != "" || !strings.Contains(stderr, c.want) {
			t.Errorf("%q: exit status %d\n%s%s", c.args, status, stdout, stderr)
		}
	}
}

// A command of ExecReload finds the credentials of the service where its main process
// does, if systemd shows them to that one only.
func TestCredentialsOfMainProcess(t *testing.T) {
	folder := t.TempDir()
	main := exec.Command("sh", "-c", "echo started; read word") // until its standard input is closed
	main.Env = []string{"A=b", "CREDENTIALS_DIRECTORY=" + folder, "C=d"}
	stdin, err := main.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := main.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := main.Start(); err != nil {
		t.Fatal(err)
	}
	defer main.Wait()
	defer stdin.Close()
	// Start returns a moment before the kernel shows the environment of the new program.
	if _, err := stdout.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	pid := strconv.Itoa(main.Process.Pid)
	there := "/proc/" + pid + "/root" + folder
	for _, c := range []struct{ own, main, want string }{
		{"", "", ""},
		{folder, "", folder},
		{folder, pid, folder},
		{"", pid, there},
		{folder + "/none", pid, there},
		{folder + "/none", "", folder + "/none"},
		{folder + "/none", "x", folder + "/none"},
	} {
		t.Setenv("CREDENTIALS_DIRECTORY", c.own)
		t.Setenv("MAINPID", c.main)
		if got := credentials(); got != c.want {
			t.Errorf("CREDENTIALS_DIRECTORY=%s MAINPID=%s: got %q, want %q", c.own, c.main, got, c.want)
		}
	}
}
