//go:build linux && !race

package pages

import (
	"bufio"
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"
)

// The kernel was asked for huge pages, whether it has any or not.
func TestHugePages(t *testing.T) {
	if _, err := os.Stat("/sys/kernel/mm/transparent_hugepage"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skipf("LEFT OUT, needs transparent huge pages: that the kernel is asked for them: %v", err)
	}
	o := new(int)
	b := For(o, 300_000)
	b[0] = 1
	flags := flagsAt(t, address(b))
	if !strings.Contains(flags, " hg") {
		t.Errorf("the flags of the mapping at %#x are%s, without hg", address(b), flags)
	}
	runtime.KeepAlive(o)
}

// flagsAt are the flags of the mapping with an address (proc_pid_smaps(5)).
func flagsAt(t *testing.T, at uintptr) string {
	f, err := os.Open("/proc/self/smaps")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	here := false
	for s := bufio.NewScanner(f); s.Scan(); {
		var from, to uintptr
		if n, _ := fmt.Sscanf(s.Text(), "%x-%x ", &from, &to); n == 2 {
			here = from <= at && at < to
		} else if flags, ok := strings.CutPrefix(s.Text(), "VmFlags:"); ok && here {
			return flags
		}
	}
	t.Fatalf("no mapping at %#x", at)
	return ""
}

// An owner is enough to keep the memory, and when it is gone, the memory is free.
func TestOwner(t *testing.T) {
	type owner struct{ buf []byte }
	const n = 777 << 10 // as nobody else has
	o := &owner{}
	o.buf = For(o, n)
	at := address(o.buf)
	runtime.GC()
	other := &owner{}
	if other.buf = For(other, n); address(other.buf) == at {
		t.Fatal("taken from its owner")
	}
	runtime.KeepAlive(o)
	o = nil
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
		runtime.GC()
		third := &owner{}
		if third.buf = For(third, n); address(third.buf) == at {
			return
		}
		runtime.KeepAlive(third)
	}
	t.Error("not free 10 s after its owner was")
}

// What nobody can reach any longer is used again, as zeros, and no more is asked
// of the kernel.
func TestReuse(t *testing.T) {
	var p pool
	b := p.take(100_000)
	if b == nil {
		t.Fatal("no memory")
	}
	for i := range b {
		b[i] = 1
	}
	p.put(b)
	unused := len(p.unused)
	again := p.take(100_000)
	if address(again) != address(b) || len(p.unused) != unused {
		t.Errorf("it was at %#x, and now is at %#x; %d bytes fewer left", address(b), address(again), unused-len(p.unused))
	}
	for i := range again {
		if again[i] != 0 {
			t.Fatalf("byte %d is %d", i, again[i])
		}
	}
	if next := p.take(100_000); address(next) == address(again) {
		t.Error("two have the same")
	}
}
