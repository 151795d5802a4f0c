package netns

import (
	"errors"
	"fmt"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// hereFile is the network namespace of the thread that opens it.
const hereFile = "/proc/thread-self/ns/net"

// Here opens the network namespace of the calling thread. The caller closes it.
func Here() (*os.File, error) { return os.Open(hereFile) }

// Same reports whether two files represent the same namespace.
func Same(a, b *os.File) bool {
	infoA, errA := a.Stat()
	infoB, errB := b.Stat()
	return errA == nil && errB == nil && os.SameFile(infoA, infoB)
}

// Do calls f on another thread, in the namespace ns, waits until f has returned, and
// returns its error. The sockets that f opens stay in ns.
func Do(ns *os.File, f func() error) error {
	result := make(chan error, 1)
	go func() {
		err := errors.New("the function ended its goroutine")
		defer func() { result <- err }() // also when f ends the goroutine
		leave, failed := enter(ns)
		if failed != nil {
			err = failed
			return
		}
		defer leave()
		err = f()
	}()
	return <-result
}

// enter locks the calling goroutine to its thread and moves the thread into ns.
// leave moves it back and unlocks it. A thread that cannot be moved back stays
// locked and ends with its goroutine. That is the last resort: the first thread of
// a process never ends, and would keep the namespace alive as long as the process
// runs (B52).
func enter(ns *os.File) (leave func(), err error) {
	runtime.LockOSThread()
	home, err := Here()
	if err != nil {
		runtime.UnlockOSThread()
		return nil, err
	}
	// Entering needs CAP_SYS_ADMIN, which a container might lack. Usually the thread is
	// in ns already, which must work without it.
	if Same(home, ns) {
		home.Close()
		return runtime.UnlockOSThread, nil
	}
	if err := unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET); err != nil {
		home.Close()
		runtime.UnlockOSThread()
		return nil, fmt.Errorf("enter another network namespace: %w", err)
	}
	return func() {
		defer home.Close()
		if unix.Setns(int(home.Fd()), unix.CLONE_NEWNET) == nil {
			runtime.UnlockOSThread()
		}
	}, nil
}
