package link

import (
	"errors"
	"fmt"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// hereFile is the network namespace of the thread that opens it.
const hereFile = "/proc/thread-self/ns/net"

// inNamespace runs f on a thread that is in the namespace; sockets that f
// opens stay there.
func inNamespace(ns *os.File, f func() error) error {
	result := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		err := errors.New("ended before it was done")
		defer func() { result <- err }() // also when f ends the goroutine
		leave, wrong := enter(ns)
		if wrong != nil {
			err = wrong
			return
		}
		defer leave()
		err = f()
	}()
	return <-result
}

// enter takes the calling thread, which is locked, into the namespace; leave
// takes it back and unlocks it. A thread that cannot go back stays locked and
// ends with its goroutine. That is the last resort: the first thread of a
// process never ends, and would keep the namespace alive for good (B52).
func enter(ns *os.File) (leave func(), err error) {
	here, err := os.Open(hereFile)
	if err != nil {
		here = nil
	}
	// Entering needs CAP_SYS_ADMIN, which a container may not have; the
	// usual case, where one is there already, must work without it.
	if here != nil && sameNamespace(here, ns) {
		here.Close()
		return runtime.UnlockOSThread, nil
	}
	if err := unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET); err != nil {
		if here != nil {
			here.Close()
		}
		runtime.UnlockOSThread()
		return nil, fmt.Errorf("enter the interface's network namespace: %w", err)
	}
	return func() {
		if here == nil {
			return
		}
		defer here.Close()
		if unix.Setns(int(here.Fd()), unix.CLONE_NEWNET) == nil {
			runtime.UnlockOSThread()
		}
	}, nil
}

func sameNamespace(a, b *os.File) bool {
	infoA, errA := a.Stat()
	infoB, errB := b.Stat()
	return errA == nil && errB == nil && os.SameFile(infoA, infoB)
}
