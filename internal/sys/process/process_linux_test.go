package process

import (
	"os"
	"os/signal"
	"syscall"
	"testing"
	"time"
)

// Each of the signals that mean an end is one, but for the hang-up of a
// terminal from which nohup(1) has cut us off.
func TestUntilTerminated(t *testing.T) {
	for _, s := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP} {
		ctx, stop := UntilTerminated()
		syscall.Kill(os.Getpid(), s)
		select {
		case <-ctx.Done():
		case <-time.After(10 * time.Second):
			t.Errorf("%v is no end", s)
		}
		stop()
	}
	signal.Ignore(syscall.SIGHUP)
	defer signal.Reset(syscall.SIGHUP)
	ctx, stop := UntilTerminated()
	defer stop()
	syscall.Kill(os.Getpid(), syscall.SIGHUP)
	select {
	case <-ctx.Done():
		t.Error("SIGHUP is an end though it was ignored")
	case <-time.After(200 * time.Millisecond):
	}
}
