package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"time"

	"wgd/internal/wgconf"
)

// commands are hooks as the shell gets them.
func commands(hooks []wgconf.Hook, name string) (lines []string) {
	for _, h := range hooks {
		lines = append(lines, h.For(name))
	}
	return lines
}

// run runs the hooks of a kind, up to the first one that fails.
func (s *session) run(ctx context.Context, kind string, lines []string) error {
	for _, line := range lines {
		if ctx.Err() != nil {
			return s.interrupted()
		}
		s.note(s.name + ": " + kind + ": " + line)
		err := s.runShell(ctx, line)
		switch {
		case err != nil && ctx.Err() != nil:
			return s.interrupted()
		case err != nil:
			return fmt.Errorf("%s: %s failed: %s: %w", s.name, kind, line, err)
		}
	}
	return nil
}

// graceTime is how long a hook may continue after the signal that ends the command.
const graceTime = 5 * time.Second

// runShell runs a line as wg-quick does: bash ends with the first command of it that
// fails, and understands extended patterns. Where there is no bash, sh has to do.
func (s *session) runShell(ctx context.Context, line string) error {
	arguments := []string{"-e", "-o", "pipefail", "-O", "extglob", "-c", line}
	shell, err := exec.LookPath("bash")
	if err != nil {
		arguments = []string{"-e", "-c", line}
		if shell, err = exec.LookPath("sh"); err != nil {
			return fmt.Errorf("there is neither bash nor sh in PATH to run it: %w", err)
		}
	}
	cmd := exec.CommandContext(ctx, shell, arguments...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = s.call.Stdin, s.call.Stdout, s.call.Stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = graceTime
	return cmd.Run()
}
