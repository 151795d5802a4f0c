package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"

	"wgd/internal/sys/process"
)

// background starts this program again as a daemon, and waits until it is
// ready or says why it cannot be.
func background(name string) error {
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program to start it in the background: %w: use -f", err)
	}
	cmd := exec.Command(self, "--foreground", "--", name)
	// Warnings of its start are for the person who starts it. Then it lets go
	// of standard error, unless messages were asked for.
	cmd.Stderr = os.Stderr
	if keepsOutput() {
		cmd.Stdout = os.Stdout
	}
	err = process.Background(cmd, envTUN, envControl)
	if errors.Is(err, process.ErrSilent) {
		return fmt.Errorf("the daemon: %w: see what \"wgd -f\" prints", err)
	}
	return err
}

// keepsOutput reports whether a daemon in the background goes on writing to
// the standard output and error of the command that started it.
func keepsOutput() bool {
	level := os.Getenv(envLogLevel)
	return level != "" && level != "silent"
}
