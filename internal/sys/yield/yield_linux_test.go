package yield

import (
	"os"
	"runtime"
	"testing"
	"time"
)

// One goroutine that always has work does not keep another from what the kernel
// has for it.
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
	time.Sleep(10 * time.Millisecond) // it waits
	late := 0
	for range 1000 {
		w.Write([]byte{1})
		yields := 0
		for ; len(came) == 0; yields++ {
			p.Yield()
		}
		<-came
		if yields > 10 {
			late++ // also if the system had put the reader's thread aside
		}
	}
	if late > 10 {
		t.Errorf("%d times of 1000 it took more than 10 turns until somebody had read what was there", late)
	}
}

// To give way to nobody returns, any number of times, and allocates nothing.
func TestYieldAlone(t *testing.T) {
	p := New()
	defer p.Close()
	if n := testing.AllocsPerRun(10000, p.Yield); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// After Close it returns as well.
func TestYieldAfterClose(t *testing.T) {
	p := New()
	p.Close()
	done := make(chan struct{})
	go func() { p.Yield(); close(done) }()
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		t.Fatal("it waits for ever")
	}
}

func BenchmarkYield(b *testing.B) {
	p := New()
	defer p.Close()
	for b.Loop() {
		p.Yield()
	}
}
