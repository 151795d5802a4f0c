package sqlite

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"wgd/cmd/wgd-peers/store"
	"wgd/cmd/wgd-peers/store/storetest"
)

// roleVariable tells this program, as another process, what to do.
const roleVariable = "WGD_PEERS_TEST_ROLE"

func TestMain(m *testing.M) {
	role, path, _ := strings.Cut(os.Getenv(roleVariable), " ")
	run := map[string]func(ctx context.Context, path string) error{"add": addMany, "import": importSlowly}[role]
	if run == nil {
		os.Exit(m.Run())
	}
	if err := run(context.Background(), path); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// perProcess is how many peers a process adds.
const perProcess = 100

// addMany adds peers from the number that begins its argument on.
func addMany(ctx context.Context, argument string) error {
	number, path, _ := strings.Cut(argument, " ")
	first, err := strconv.Atoi(number)
	if err != nil {
		return err
	}
	s, err := Open(ctx, path, true)
	if err != nil {
		return err
	}
	for i := range perProcess {
		p := storetest.Numbered(first + i)
		p.AllowedIPs = nil
		if err := s.Add(ctx, p, storetest.Prefixes("10.0.0.0/16")); err != nil {
			return err
		}
	}
	return s.Close()
}

// importSlowly imports peers until it is killed.
func importSlowly(ctx context.Context, path string) error {
	s, err := Open(ctx, path, true)
	if err != nil {
		return err
	}
	_, _, err = s.Import(ctx, func(yield func(*store.Peer, error) bool) {
		for i := 10; yield(storetest.Numbered(i), nil); i++ {
			if i == 2000 {
				fmt.Println("many")
			}
		}
	}, false, func(*store.Peer, error) {})
	return err
}

// process returns this program as another process with a role.
func process(t *testing.T, role string) *exec.Cmd {
	cmd := exec.CommandContext(t.Context(), "/proc/self/exe")
	cmd.Env = append(os.Environ(), roleVariable+"="+role)
	cmd.Stderr = os.Stderr
	return cmd
}

// Processes that make a store at the same time, and then write at the same time, wait for
// each other: each adds all its peers, and no two get one address.
func TestProcessesWriteTogether(t *testing.T) {
	path := filepath.Join(t.TempDir(), "peers.db")
	var processes []*exec.Cmd
	for i := range 3 {
		cmd := process(t, fmt.Sprintf("add %d %s", i*perProcess, path))
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		processes = append(processes, cmd)
	}
	for _, cmd := range processes {
		if err := cmd.Wait(); err != nil {
			t.Error(err)
		}
	}
	f := open(t, path)
	addresses := map[string]bool{}
	for p, err := range f.All(t.Context()) {
		if err != nil || p.Problem != "" || len(p.AllowedIPs) != 1 {
			t.Fatalf("%+v, %v", p, err)
		}
		addresses[p.AllowedIPs[0].String()] = true
	}
	if want := len(processes) * perProcess; len(addresses) != want {
		t.Errorf("%d addresses, want %d", len(addresses), want)
	}
}

// A process that is killed in the middle of an import leaves nothing of it, and nobody else
// sees anything of it before.
func TestKilledImport(t *testing.T) {
	path := filepath.Join(t.TempDir(), "peers.db")
	f := open(t, path)
	storetest.Add(t, f, storetest.Numbered(0))
	cmd := process(t, "import "+path)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	if _, err := f.ByKey(t.Context(), storetest.Numbered(10).PublicKey); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("a peer of an import that is not complete: %v", err)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // it was killed
	again := open(t, path)
	n := 0
	for p, err := range again.All(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		if n++; p.Name != "peer0" {
			t.Errorf("%s is left", p.Name)
		}
	}
	var check string
	if err := again.read.QueryRow("PRAGMA integrity_check").Scan(&check); err != nil || check != "ok" || n != 1 {
		t.Errorf("%d peers, integrity: %s, %v", n, check, err)
	}
	storetest.Add(t, again, storetest.Numbered(10))
}

// Making a store waits for a program that writes to the file at that moment, although
// SQLite's switch to WAL does not (findings/sqlite-wal-does-not-wait.sh).
func TestOpenWaits(t *testing.T) {
	path := filepath.Join(t.TempDir(), "peers.db")
	db := foreign(t, path)
	if _, err := db.Exec("BEGIN IMMEDIATE"); err != nil {
		t.Fatal(err)
	}
	opened := make(chan error, 1)
	go func() {
		s, err := Open(context.WithoutCancel(t.Context()), path, true)
		if err == nil {
			err = s.Close()
		}
		opened <- err
	}()
	select {
	case err := <-opened:
		t.Errorf("it did not wait: %v", err)
		return
	case <-time.After(300 * time.Millisecond):
	}
	if _, err := db.Exec("ROLLBACK"); err != nil {
		t.Fatal(err)
	}
	if err := <-opened; err != nil {
		t.Error(err)
	}
}
