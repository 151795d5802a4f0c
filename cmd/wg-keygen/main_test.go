package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"wgd/internal/cli"
	"wgd/internal/cli/clitest"
	"wgd/key"
)

// TestMain makes the test binary the program, so that tests run a process with real
// standard streams.
func TestMain(m *testing.M) {
	if os.Getenv("RUN_AS_COMMAND") != "" {
		main()
	}
	os.Exit(m.Run())
}

type result struct {
	stdout, stderr string
	status         int
}

func keygen(t *testing.T, stdin string, args ...string) result {
	t.Helper()
	cmd := program(args...)
	cmd.Stdin = strings.NewReader(stdin)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	return end(t, cmd, &stdout, &stderr)
}

func program(args ...string) *exec.Cmd {
	self, _ := os.Executable()
	cmd := exec.Command(self, args...)
	cmd.Env = append(os.Environ(), "RUN_AS_COMMAND=1")
	return cmd
}

func end(t *testing.T, cmd *exec.Cmd, stdout, stderr *bytes.Buffer) result {
	t.Helper()
	err := cmd.Run()
	if _, exited := err.(*exec.ExitError); err != nil && !exited {
		t.Fatal(err)
	}
	return result{stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()}
}

func TestTableIsComplete(t *testing.T) {
	if err := cli.Check(command()); err != nil {
		t.Error(err)
	}
}

func TestPrivateKeyIsClampedAndNew(t *testing.T) {
	a, b := keygen(t, ""), keygen(t, "")
	if a.status != 0 || a.stderr != "" || len(a.stdout) != 45 || a.stdout == b.stdout {
		t.Fatalf("%+v %+v", a, b)
	}
	k, err := key.ParsePrivate(a.stdout)
	if err != nil {
		t.Fatal(err)
	}
	if k.Base64()+"\n" != a.stdout {
		t.Error("the key that was printed is not clamped")
	}
}

func TestPresharedKey(t *testing.T) {
	a, b := keygen(t, "", "--psk"), keygen(t, "", "--psk")
	if a.status != 0 || a.stderr != "" || a.stdout == b.stdout {
		t.Fatalf("%+v %+v", a, b)
	}
	if _, err := key.ParsePreshared(a.stdout); err != nil || len(a.stdout) != 45 {
		t.Fatal(err)
	}
}

// The pair of RFC 7748, §6.1 (Alice's).
const (
	private = "dwdtCnMYpX08FsFyUbJmRd9ML4frwJkqsXf7pR25LCo="
	public  = "hSDwCYkwp1R0i33ctD73Wg2/Og0mOBr066SpjqqbTmo="
)

func TestPublicKey(t *testing.T) {
	for _, stdin := range []string{private, private + "\n", private + "\r\n", " " + private + "\n\n"} {
		if got := keygen(t, stdin, "--pub"); got != (result{public + "\n", "", 0}) {
			t.Errorf("%q: %+v", stdin, got)
		}
	}
}

func TestMalformedPrivateKeys(t *testing.T) {
	for _, stdin := range []string{
		"", "\n", private[:43], private + "=", "x" + private, private + " " + private,
		strings.Replace(private, "p", "!", 1), strings.Repeat("A", 8000),
		private[:42] + "p=",                            // bits after the last byte
		"dwdtCnMYpX08FsFyUbJmRd9ML4frwJkqsXf7pR25LA==", // 31 bytes
		strings.Repeat("A", 43) + "=",                  // means no key
	} {
		got := keygen(t, stdin, "--pub")
		if got.status != 1 || got.stdout != "" || !strings.HasPrefix(got.stderr, "wg-keygen: standard input: ") {
			t.Errorf("%q: %+v", stdin, got)
		}
		if len(stdin) > 20 && strings.Contains(got.stderr, stdin[4:16]) {
			t.Errorf("the error shows the secret: %s", got.stderr)
		}
	}
}

func TestUsageErrors(t *testing.T) {
	for _, args := range [][]string{{"--nonsense"}, {"key"}, {"--pub", private}, {"--psk", "--pub"}} {
		got := keygen(t, private, args...)
		if got.status != 2 || got.stdout != "" || !strings.Contains(got.stderr, "\nusage: wg-keygen") {
			t.Errorf("%v: %+v", args, got)
		}
	}
}

func TestEmptyStandardInput(t *testing.T) {
	want := result{"", "wg-keygen: standard input: it is empty: give a private key, as wg-keygen prints it\n", 1}
	for _, stdin := range []string{"", "\n"} {
		if got := keygen(t, stdin, "--pub"); got != want {
			t.Errorf("%q: %+v", stdin, got)
		}
	}
}

// A file that others may read is used, with a warning on standard error.
func TestWarningAboutReadableOutput(t *testing.T) {
	dir := t.TempDir()
	for _, c := range []struct {
		mode   os.FileMode
		args   []string
		warned bool
	}{
		{0o600, nil, false},
		{0o644, nil, true},
		{0o640, nil, true},
		{0o644, []string{"--psk"}, true},
		{0o600, []string{"--psk"}, false},
		{0o644, []string{"--pub"}, false}, // a public key is not secret
	} {
		path := filepath.Join(dir, "out")
		os.Remove(path)
		out, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, c.mode)
		if err != nil {
			t.Fatal(err)
		}
		out.Chmod(c.mode) // regardless of the umask
		cmd := program(c.args...)
		cmd.Stdin, cmd.Stdout = strings.NewReader(private), out
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		if err := cmd.Run(); err != nil {
			t.Fatal(err)
		}
		out.Close()
		text, _ := os.ReadFile(path)
		if len(text) != 45 {
			t.Errorf("%v: standard output %q, want a key", c, text)
		}
		if warned := strings.HasPrefix(stderr.String(), "wg-keygen: warning: standard output has mode 0"); warned != c.warned {
			t.Errorf("%v: standard error %q, want a warning: %v", c, stderr.String(), c.warned)
		}
	}
}

func TestWarningAboutReadableInput(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(path, []byte(private), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, mode := range []os.FileMode{0o600, 0o604} {
		os.Chmod(path, mode)
		in, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		cmd := program("--pub")
		cmd.Stdin = in
		var stdout, stderr bytes.Buffer
		cmd.Stdout, cmd.Stderr = &stdout, &stderr
		got := end(t, cmd, &stdout, &stderr)
		in.Close()
		if got.status != 0 || got.stdout != public+"\n" || (got.stderr != "") != (mode == 0o604) {
			t.Errorf("%o: %+v", mode, got)
		}
	}
}

func TestWriteError(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer full.Close()
	cmd := program()
	cmd.Stdout = full
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if got := end(t, cmd, &bytes.Buffer{}, &stderr); got.status != 1 || !strings.HasPrefix(got.stderr, "wg-keygen: print the key: ") {
		t.Errorf("%+v", got)
	}
}

// A key that stands in the wrong place is not repeated.
func TestNoKeyRepeated(t *testing.T) {
	clitest.NoKeyRepeated(t, command(), func(args ...string) string {
		var printed bytes.Buffer
		cli.Run(command(), args, strings.NewReader(""), &printed, &printed)
		return printed.String()
	})
}
