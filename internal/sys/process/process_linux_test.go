package process

import (
	"os"
	"os/signal"
	"syscall"
	"testing"
	"time"
)

// Each of the three signals ends the context, except SIGHUP if it was ignored, as
// under nohup(1).
func TestUntilTerminated(t *testing.T) {
	for _, s := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP} {
		ctx, stop := UntilTerminated()
		syscall.Kill(os.Getpid(), s)
		select {
		case <-ctx.Done():
		case <-time.After(10 * time.Second):
			t.Errorf("%v does not end the context", s)
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
		t.Error("SIGHUP ends the context though it was ignored")
	case <-time.After(200 * time.Millisecond):
	}
}
