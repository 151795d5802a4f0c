package process

import (
	"context"
	"os/exec"
	"os/signal"
	"syscall"
)

// Detach makes cmd, when it starts, the leader of a session of its own: it
// survives the terminal and gets none of its signals.
func Detach(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} }

// UntilTerminated is a context that ends with SIGTERM or SIGINT.
func UntilTerminated() (context.Context, context.CancelFunc) {
	return signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
}
