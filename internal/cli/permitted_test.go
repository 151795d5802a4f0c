package cli_test

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"wgd/key"
)

// In Go's FIPS-only mode, which forbids WireGuard's cryptography, every command still
// prints its help. Everything else is an error in one sentence, with exit status 1, and
// not a panic.
func TestFIPSOnlyMode(t *testing.T) {
	dir := t.TempDir()
	if out, err := exec.Command("go", "build", "-o", dir, "wgd/cmd/...").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	private := key.NewPrivate(&[key.Size]byte{1, 2, 3}).Base64()
	for _, c := range []struct {
		line   string
		status int
	}{
		{"wgd --help", 0}, {"wgconfig --help", 0}, {"wg-ifconfig --help", 0}, {"wg-keygen --help", 0},
		{"wgd --version", 0}, {"wgconfig completion bash", 1}, {"wgd", 2},
		{"wg-keygen", 1}, {"wg-keygen --pub", 1}, {"wg-keygen --psk", 1}, {"wgd demo", 1}, {"wgd -f wgq9", 1}, {"wgd wgq9", 1},
		{"wg-ifconfig wgq9 create", 1}, {"wg-ifconfig", 1}, {"wgconfig wgq9 show all", 1},
	} {
		words := strings.Fields(c.line)
		cmd := exec.Command(filepath.Join(dir, words[0]), words[1:]...)
		cmd.Env = append(os.Environ(), "GODEBUG=fips140=only")
		cmd.Stdin = strings.NewReader(private + "\n")
		var out, complaints bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &complaints
		var exit *exec.ExitError
		if err := cmd.Run(); err != nil && !errors.As(err, &exit) {
			t.Fatal(err)
		}
		said := complaints.String()
		if cmd.ProcessState.ExitCode() != c.status || strings.Contains(said, "goroutine") || strings.Contains(said, private[:12]) {
			t.Errorf("%s: status %d, want %d: %s", c.line, cmd.ProcessState.ExitCode(), c.status, said)
		}
		if sentence := strings.HasPrefix(said, words[0]+": ") && strings.Contains(said, "FIPS 140") && strings.Count(said, "\n") == 1; sentence != (c.status == 1) {
			t.Errorf("%s: one sentence about FIPS 140: got %v, want %v: %s", c.line, sentence, c.status == 1, said)
		}
		if (out.Len() > 0) != (c.status == 0) {
			t.Errorf("%s: standard output is %q", c.line, &out)
		}
	}
}
