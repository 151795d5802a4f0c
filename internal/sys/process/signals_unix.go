//go:build unix

package process

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/sys/unix"
)

// Signals are those that a process receives which stays in the foreground.
type Signals struct {
	Reload <-chan os.Signal // SIGHUP
	// Interrupt is SIGINT, from TakeInterrupt on.
	Interrupt <-chan os.Signal
	Orphan    <-chan os.Signal // SIGCHLD: a process has ended that Reap can forget
	reload    chan os.Signal
	orphan    chan os.Signal
	interrupt chan os.Signal
}

// Receive begins to receive them, until Stop is called. As the first process of a
// container, this one would otherwise not get them at all.
func Receive() *Signals {
	s := &Signals{reload: make(chan os.Signal, 1), orphan: make(chan os.Signal, 1)}
	s.Reload, s.Orphan = s.reload, s.orphan
	signal.Notify(s.reload, syscall.SIGHUP)
	signal.Notify(s.orphan, syscall.SIGCHLD)
	return s
}

// TakeInterrupt begins to receive SIGINT as well. See UntilEnded.
func (s *Signals) TakeInterrupt() {
	s.interrupt = make(chan os.Signal, 1)
	s.Interrupt = s.interrupt
	signal.Notify(s.interrupt, syscall.SIGINT)
}

// Stop ends receiving.
func (s *Signals) Stop() {
	signal.Stop(s.reload)
	signal.Stop(s.orphan)
	if s.interrupt != nil {
		signal.Stop(s.interrupt)
	}
}

// UntilStopped returns a context that SIGTERM and SIGINT cancel. SIGPIPE is ignored: the
// log may lose its reader.
func UntilStopped() (context.Context, context.CancelFunc) {
	signal.Ignore(syscall.SIGPIPE)
	return signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
}

// UntilEnded is UntilStopped without SIGINT.
func UntilEnded() (context.Context, context.CancelFunc) {
	signal.Ignore(syscall.SIGPIPE)
	return signal.NotifyContext(context.Background(), syscall.SIGTERM)
}

// Reap forgets every child that has ended. In a container, the first process inherits the
// children of all that end before them, and would otherwise collect zombies. It must not
// be called while this process waits for a child of its own.
func Reap() {
	for {
		pid, err := unix.Wait4(-1, nil, unix.WNOHANG, nil)
		if err != unix.EINTR && (err != nil || pid <= 0) {
			return
		}
	}
}
