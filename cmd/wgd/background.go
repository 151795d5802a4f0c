package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"

	"wgd/internal/sys/process"
	"wgd/internal/sys/unixsocket"
)

// background starts this program again as a daemon, and waits until it is ready or has
// reported why it will not be. The readers are those of readGroup.
func background(name string, readers *unixsocket.Group) error {
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("cannot find this program, to start it in the background: %w: use -f", err)
	}
	words := []string{"--foreground"}
	if readers != nil {
		words = append(words, fmt.Sprintf("--%s=%d", optReadGroup.Long, readers.ID))
	}
	cmd := exec.Command(self, append(words, "--", name)...)
	// Warnings while it starts go to this program's standard error, which the daemon
	// then leaves, unless LOG_LEVEL requests messages.
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

// keepsOutput reports whether a daemon in the background continues to write to the
// standard output and error of the command that started it.
func keepsOutput() bool {
	level := os.Getenv(envLogLevel)
	return level != "" && level != "silent"
}
