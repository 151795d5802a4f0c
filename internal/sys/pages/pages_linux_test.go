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

// The mapping has the huge-page flag, whether or not the kernel has a huge page.
func TestHugePages(t *testing.T) {
	requireHugePages(t)
	o := new(int)
	b := For(o, 300_000)
	b[0] = 1
	flags := flagsAt(t, address(b))
	if !strings.Contains(flags, " hg") {
		t.Errorf("the flags of the mapping at %#x are%s, want hg among them", address(b), flags)
	}
	runtime.KeepAlive(o)
}

// A process with very many buffers uses small pages for all but the first of them.
func TestHugePagesAreLimited(t *testing.T) {
	requireHugePages(t)
	var p pool
	for i := range hugeChunks + 2 {
		flags, want := flagsAt(t, address(p.take(chunkSize))), " hg"
		if i >= hugeChunks {
			want = " nh"
		}
		if !strings.Contains(flags, want) {
			t.Errorf("the flags of chunk %d are%s, want%s among them", i, flags, want)
		}
	}
}

// When no address space can be mapped, the current chunk stays in use, and no chunk
// counts as mapped.
func TestWithoutAddressSpace(t *testing.T) {
	var p pool
	b := p.take(100_000)
	p.add(nil)
	if p.chunks != 1 {
		t.Errorf("%d chunks count as mapped, want 1", p.chunks)
	}
	page := os.Getpagesize()
	if next, want := p.take(page), address(b)+uintptr((100_000+page-1)/page*page); address(next) != want {
		t.Errorf("the next buffer is at %#x, want %#x, in the same chunk", address(next), want)
	}
}

func requireHugePages(t *testing.T) {
	t.Helper()
	if _, err := os.Stat("/sys/kernel/mm/transparent_hugepage"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skipf("LEFT OUT, needs transparent huge pages: that buffers use them: %v", err)
	}
}

// flagsAt returns the flags of the mapping with an address (proc_pid_smaps(5)).
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

// A buffer is kept as long as its owner is reachable, and reused afterwards.
func TestOwner(t *testing.T) {
	type owner struct{ buf []byte }
	const n = 777 << 10 // a length that no other test uses
	o := &owner{}
	o.buf = For(o, n)
	at := address(o.buf)
	runtime.GC()
	other := &owner{}
	if other.buf = For(other, n); address(other.buf) == at {
		t.Fatal("the buffer was reused while its owner was reachable")
	}
	runtime.KeepAlive(o)
	o = nil
	// The owners of the attempts are kept, so that no attempt finds the buffer of
	// an earlier one instead.
	owners := []*owner{other}
	defer func() { runtime.KeepAlive(owners) }()
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		runtime.GC()
		next := &owner{}
		owners = append(owners, next)
		if next.buf = For(next, n); address(next.buf) == at {
			return
		}
	}
	t.Error("the buffer was not reused within 10 s of its owner's end")
}

// A buffer that was put back is taken again, with zeros in it, and without more
// address space.
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
		t.Errorf("a buffer at %#x instead of %#x, and %d bytes more used", address(again), address(b), unused-len(p.unused))
	}
	for i := range again {
		if again[i] != 0 {
			t.Fatalf("byte %d is %d", i, again[i])
		}
	}
	if next := p.take(100_000); address(next) == address(again) {
		t.Error("one buffer was taken twice")
	}
}
