package yield

import (
	"os"
	"runtime"
	"testing"
	"time"
)

// A goroutine that always has work does not keep another from reading what the
// kernel has for it.
func TestYield(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	came := make(chan struct{}, 1)
	go func() {
		for b := make([]byte, 1); ; {
			if _, err := r.Read(b); err != nil {
				return
			}
			came <- struct{}{}
		}
	}()
	p := New()
	defer p.Close()
	time.Sleep(10 * time.Millisecond) // until the reader waits
	late := 0
	for range 1000 {
		w.Write([]byte{1})
		yields := 0
		for ; len(came) == 0; yields++ {
			p.Yield()
		}
		<-came
		if yields > 10 {
			late++ // also if the kernel had preempted the reader's thread
		}
	}
	if late > 10 {
		t.Errorf("%d of 1000 times the reader ran only after more than 10 calls of Yield", late)
	}
}

// Yield returns if no other goroutine is ready, any number of times, and allocates
// nothing.
func TestYieldAlone(t *testing.T) {
	p := New()
	defer p.Close()
	if n := testing.AllocsPerRun(10000, p.Yield); n != 0 {
		t.Errorf("Yield: %v allocations, want 0", n)
	}
}

// Yield returns after Close as well.
func TestYieldAfterClose(t *testing.T) {
	p := New()
	p.Close()
	done := make(chan struct{})
	go func() { p.Yield(); close(done) }()
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		t.Fatal("Yield has not returned after 10 s")
	}
}

func BenchmarkYield(b *testing.B) {
	p := New()
	defer p.Close()
	for b.Loop() {
		p.Yield()
	}
}
