package main

import (
	"bytes"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"wgd/conf"
	"wgd/internal/aead"
	"wgd/internal/cli"
	"wgd/internal/sys/tun/tuntest"
	"wgd/internal/x25519"
	"wgd/wg"
)

// TestMain makes this program wgd, for the tests that start one.
func TestMain(m *testing.M) {
	if os.Getenv("WGD_TEST_RUN") == "1" {
		if dir := os.Getenv("WGD_TEST_STATE"); dir != "" {
			proxyStateDir = func() string { return dir }
		}
		cli.Main(command())
	}
	os.Exit(m.Run())
}

// run runs wgd with these arguments, in this process.
func run(args ...string) (status int, stdout, stderr string) {
	var out, errs bytes.Buffer
	status = cli.Run(command(), args, strings.NewReader(""), &out, &errs)
	return status, out.String(), errs.String()
}

func TestTableIsComplete(t *testing.T) {
	if err := cli.Check(command()); err != nil {
		t.Error(err)
	}
}

// --version shows which code encrypts packets and which does Diffie-Hellman. A build that does not encrypt (for
// benchmarks) says so there, and prints a warning whenever it runs.
func TestVersionNamesTheCipher(t *testing.T) {
	if _, out, _ := run("--version"); !strings.Contains(out, "\nAEAD: "+aead.Kernel()+"\nX25519: "+x25519.Kernel()+"\n") || strings.Contains(out, "NO ENCRYPTION") != withoutEncryption {
		t.Errorf("--version: %q", out)
	}
	program := filepath.Join(t.TempDir(), "wgd")
	if out, err := exec.Command("go", "build", "-tags", "nullaead", "-o", program, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	cmd := exec.Command(program, "--version")
	var warning strings.Builder
	cmd.Stderr = &warning
	out, err := cmd.Output()
	if err != nil || !strings.Contains(string(out), "\nAEAD: NO ENCRYPTION") || !strings.Contains(warning.String(), "WARNING: NO ENCRYPTION") {
		t.Errorf("--version: %q, with the warning %q, %v", out, warning.String(), err)
	}
}

// An error in the arguments or the environment is one line, with exit status 1 or 2.
func TestWrongCalls(t *testing.T) {
	for _, c := range []struct {
		args   []string
		env    [2]string
		status int
		want   string
	}{
		{args: []string{"a-name-that-is-too-long"}, status: 1, want: "the maximum is 15"},
		{args: []string{"a/b"}, status: 1, want: "is not allowed in a name"},
		{args: []string{"-f", "wg0"}, env: [2]string{"WGD_READY_FD", "-1"}, status: 1, want: "not a descriptor"},
		{args: []string{"-f", "wg0"}, env: [2]string{envControl, "three"}, status: 1, want: "not a descriptor"},
		{args: []string{"wg0"}, env: [2]string{envTUN, "three"}, status: 1, want: "not a descriptor"},
		{args: []string{"-f"}, status: 2, want: "usage"},
	} {
		if c.env[0] != "" {
			t.Setenv(c.env[0], c.env[1])
		}
		status, _, stderr := run(c.args...)
		if status != c.status || !strings.Contains(stderr, c.want) {
			t.Errorf("wgd %v: exit status %d, %s", c.args, status, stderr)
		}
		if status == 1 && strings.Count(stderr, "\n") != 1 {
			t.Errorf("wgd %v: got %q, want one line", c.args, stderr)
		}
		if c.env[0] != "" {
			os.Unsetenv(c.env[0])
		}
	}
}

// A word that is not a log level counts as the default, as in wireguard-go, with a
// warning: other programs use this variable as well.
func TestLogLevel(t *testing.T) {
	for word, want := range map[string]struct {
		level slog.Level
		known bool
	}{
		"": {slog.LevelWarn, true}, "error": {slog.LevelWarn, true}, "verbose": {slog.LevelDebug, true}, "debug": {slog.LevelDebug, true},
		"silent": {silent, true}, "info": {slog.LevelWarn, false}, "INFO": {slog.LevelWarn, false}, "Debug": {slog.LevelWarn, false},
	} {
		t.Setenv(envLogLevel, word)
		var out bytes.Buffer
		log := openLog(&out, "wg0")
		if got := log.level.Level(); got != want.level {
			t.Errorf("%q: level %v, want %v", word, got, want.level)
		}
		if told := strings.Contains(out.String(), "silent, error or verbose") && strings.Contains(out.String(), word); told == want.known {
			t.Errorf("%q: warning %q, want one: %v", word, out.String(), !want.known)
		}
	}
}

// net.wg.debug makes the log verbose, and restores its level when it is turned off.
func TestDebugTunable(t *testing.T) {
	w := openFake(t)
	var out bytes.Buffer
	log := newLogger(&out, slog.LevelWarn, "wg0")
	to := target{Interface: w, log: log}
	for i, on := range []bool{true, false, true, false} {
		out.Reset()
		if err := to.Apply(conf.Change{Tunables: conf.TunablesChange{Debug: &on}}); err != nil {
			t.Fatal(err)
		}
		log.Debug("detail")
		log.Warn("warning")
		if got := strings.Contains(out.String(), "detail"); got != on || !strings.Contains(out.String(), "warning") {
			t.Errorf("change %d, debug %v: the log is %q", i, on, out.String())
		}
	}
}

// openFake opens a tunnel with an interface in memory.
func openFake(t *testing.T) *wg.Interface {
	t.Helper()
	w, err := wg.Open(wg.Options{Name: "wg0", Device: tuntest.New("wg0", 1420)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close() })
	return w
}
