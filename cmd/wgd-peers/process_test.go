package main

import (
	"bufio"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

// asProgram makes this program wgd-peers.
const asProgram = "WGD_PEERS_TEST_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
	}
	os.Exit(m.Run())
}

// start starts wgd-peers as a process.
func (s shell) start(stdin io.Reader, args ...string) (cmd *exec.Cmd, out *bufio.Reader, complaints *strings.Builder) {
	s.t.Helper()
	complaints = new(strings.Builder)
	cmd = exec.CommandContext(s.t.Context(), "/proc/self/exe", append([]string{"--store=" + s.path}, args...)...)
	cmd.Env = append(os.Environ(), asProgram+"=1")
	cmd.Stdin, cmd.Stderr = stdin, complaints
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	return cmd, bufio.NewReader(pipe), complaints
}

// Watch prints a line for each peer that another process changes, and ends at SIGTERM.
func TestWatchPrints(t *testing.T) {
	s := newShell(t)
	s.ok("add", "alice", "--public-key="+publicKey(1), "--allowed-ips=10.2.0.2/32")
	cmd, out, complaints := s.start(nil, "watch", "--json")
	_, text, _ := s.start(nil, "watch")
	next := func() (line change) {
		t.Helper()
		read, err := out.ReadString('\n')
		if err != nil || json.Unmarshal([]byte(read), &line) != nil {
			t.Fatalf("%q, %v", read, err)
		}
		return line
	}
	// Nothing shows when a watch has begun, so changes are made until it reports one.
	reported := make(chan change)
	go func() {
		defer close(reported)
		line := next()
		if _, err := text.ReadString('\n'); err != nil { // so the other has begun, too
			t.Error(err)
		}
		reported <- line
	}()
	var first change
	for begun := false; !begun; {
		s.ok("set", "alice", "--revoke")
		s.ok("set", "alice", "--restore")
		select {
		case first = <-reported:
			begun = true
		default:
		}
	}
	if first.PublicKey == nil || *first.PublicKey != publicKey(1) || first.Peer == nil || nameOf(first.Peer) != "alice" || first.Revision == 0 {
		t.Errorf("the first line is %+v", first)
	}
	s.ok("delete", "alice")
	for last := next(); last.Peer != nil; last = next() {
		if *last.PublicKey != publicKey(1) {
			t.Fatalf("a line is %+v", last)
		}
	}
	for {
		line, err := text.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(line, " "+publicKey(1)+" deleted\n") {
			break
		}
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil || complaints.Len() > 0 {
		t.Errorf("at SIGTERM: %v, %s", err, complaints)
	}
}

// An import that is interrupted changes nothing, and says so.
func TestInterruptedImport(t *testing.T) {
	s := newShell(t)
	s.ok("add", "alice", "--public-key="+publicKey(1), "--allowed-ips=10.2.0.2/32")
	in, file, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	cmd, _, complaints := s.start(in, "import", "-")
	if _, err := io.WriteString(file, "public_key,name\n"+publicKey(2)+",bob\n"+strings.Repeat("x\n", 1<<17)); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(file, publicKey(3)+",carol\n"); err != nil {
		t.Fatal(err)
	}
	file.Close()
	if err := cmd.Wait(); err == nil || cmd.ProcessState.ExitCode() != 1 || !strings.HasSuffix(complaints.String(), "wgd-peers: interrupted: nothing was changed\n") {
		t.Errorf("%v: %s", err, complaints.String()[max(0, complaints.Len()-300):])
	}
	if out := s.ok("list"); strings.Count(out, "\n") != 1 {
		t.Errorf("the list is\n%s", out)
	}
}

// An import from a terminal, or from a program that writes nothing more, can be interrupted
// while it waits, and then changes nothing.
func TestImportInterruptedWhileItWaits(t *testing.T) {
	for name, begin := range map[string]string{
		"a comment": "# peers\n", "CSV": "public_key,name\n" + publicKey(2) + ",bob\n", "JSON": `[{"public_key":"` + publicKey(2) + `"},`,
		"a file": "[Peer]\nPublicKey = " + publicKey(2) + "\nAllowedIPs = 10.2.0.3/32\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newShell(t)
			s.ok("add", "alice", "--public-key="+publicKey(1), "--allowed-ips=10.2.0.2/32")
			in, file, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			defer in.Close()
			defer file.Close()
			cmd, _, complaints := s.start(in, "import", "-")
			// This is more than a pipe holds, so it has begun to read when all is written.
			if _, err := io.WriteString(file, begin+strings.Repeat("\n", 1<<17)); err != nil {
				t.Fatal(err)
			}
			if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
				t.Fatal(err)
			}
			if err := cmd.Wait(); cmd.ProcessState.ExitCode() != 1 || complaints.String() != "wgd-peers: interrupted: nothing was changed\n" {
				t.Errorf("%v: it says %s", err, complaints)
			}
			if out := s.ok("list"); strings.Count(out, "\n") != 1 {
				t.Errorf("the list is\n%s", out)
			}
		})
	}
}
