// Package asynctest helps to test what other goroutines do: tests wait for it,
// limit how long it may take, and check that no goroutine or file descriptor is
// leaked.
package asynctest

import (
	"os"
	"runtime"
	"testing"
	"time"
)

// Timeout is how long a test waits for something that should happen at once. It
// is long because many tests share the computer.
const Timeout = 20 * time.Second

// Eventually waits until holds returns true, and fails the test if that takes
// longer than Timeout.
func Eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(Timeout); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if holds() {
			return
		}
	}
	t.Fatalf("not within %v: %s", Timeout, what)
}

// Within calls f, and fails the test if f takes longer than d. The message then
// contains the stacks of all goroutines.
func Within(t testing.TB, d time.Duration, what string, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	select {
	case <-done:
	case <-time.After(d):
		t.Fatalf("%s takes longer than %v\n%s", what, d, stacks())
	}
}

// CheckLeaks counts goroutines and file descriptors. The function that it returns
// waits until there are no more of them than CheckLeaks counted, and otherwise
// fails the test (B56, B59).
func CheckLeaks(t testing.TB) (check func()) {
	t.Helper()
	goroutines, files := runtime.NumGoroutine(), Descriptors(t)
	return func() {
		t.Helper()
		for end := time.Now().Add(Timeout); ; time.Sleep(time.Millisecond) {
			g, f := runtime.NumGoroutine(), Descriptors(t)
			if g <= goroutines && f <= files {
				return
			}
			if time.Now().After(end) {
				t.Fatalf("%d goroutines (%d before), %d descriptors (%d before)\n%s", g, goroutines, f, files, stacks())
			}
		}
	}
}

func stacks() []byte {
	buf := make([]byte, 1<<20)
	return buf[:runtime.Stack(buf, true)]
}

// Descriptors returns how many file descriptors this process has open.
func Descriptors(t testing.TB) int {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}
