// Package asynctest is for tests of what other goroutines do: they wait for it,
// bound how long it may take, and check that nothing of it stays behind.
package asynctest

import (
	"os"
	"runtime"
	"testing"
	"time"
)

// Patience is how long a test waits for what should happen at once. It is long,
// because many tests share the machine.
const Patience = 20 * time.Second

// Eventually waits until is() holds, and fails the test when that takes longer
// than Patience.
func Eventually(t testing.TB, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(Patience); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if is() {
			return
		}
	}
	t.Fatalf("not within %v: %s", Patience, what)
}

// Within calls f, and fails the test when f takes longer than d. The failure
// shows what all goroutines are doing.
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

// Balance counts goroutines and file descriptors. check waits until there are no
// more of them than Balance counted (B56, B59).
func Balance(t testing.TB) (check func()) {
	t.Helper()
	goroutines, files := runtime.NumGoroutine(), Descriptors(t)
	return func() {
		t.Helper()
		for end := time.Now().Add(Patience); ; time.Sleep(time.Millisecond) {
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

// Descriptors is how many file descriptors this process has open.
func Descriptors(t testing.TB) int {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}
