package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"wgd/conf"
	"wgd/internal/cli"
	"wgd/internal/control"
	"wgd/internal/sys/link"
	"wgd/internal/sys/process"
)

const (
	daemon = "wgd"

	// How long a daemon may take to start, to notice a change, and to end.
	startTime  = 15 * time.Second
	noticeTime = 5 * time.Second
	endTime    = 10 * time.Second
)

// create starts the daemon and waits until it answers.
func create(c *cli.Call, links *link.Links, name string) error {
	done := c.Progress("starting the daemon of " + name)
	defer done()
	if err := start(c, name); err != nil {
		return err
	}
	var err error
	if control.WaitFor(startTime, func() bool {
		if _, err = links.Get(name); err == nil {
			_, err = control.StatusOf(name)
		}
		return err == nil
	}) {
		return nil
	}
	return fmt.Errorf("%s: its daemon was started but does not answer: %w", name, err)
}

// start starts the daemon in the background, regardless of
// WG_PROCESS_FOREGROUND, which is for users who start wgd themselves.
func start(c *cli.Call, name string) error {
	program, err := findDaemon()
	if err != nil {
		return err
	}
	cmd := exec.Command(program, "--foreground", "--", name)
	if level := os.Getenv("LOG_LEVEL"); level != "" && level != "silent" {
		// The user wants its messages, also those after this program has ended.
		cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
		err := process.Background(cmd, givenToDaemon...)
		return failedToStart(name, program, "", err)
	}
	// A file, not a pipe, so that the daemon can still write when this program has ended.
	output, err := process.TemporaryFile("output of the daemon")
	if err != nil {
		return err
	}
	defer output.Close()
	cmd.Stderr = output
	err = process.Background(cmd, givenToDaemon...)
	text, _ := io.ReadAll(io.NewSectionReader(output, 0, 64<<10))
	sentence, rest := finalError(string(text), err)
	io.WriteString(c.Stderr, rest) // warnings, or the trace of a crash
	return failedToStart(name, program, sentence, err)
}

// givenToDaemon are the variables with descriptors that the daemon inherits.
var givenToDaemon = []string{"WG_TUN_FD", "WG_UAPI_FD"}

// findDaemon finds the daemon: in the folder of this program, or else in PATH.
func findDaemon() (string, error) {
	if self, err := os.Executable(); err == nil {
		adjacent := filepath.Join(filepath.Dir(self), daemon)
		if path, err := exec.LookPath(adjacent); err == nil {
			return path, nil
		}
	}
	path, err := exec.LookPath(daemon)
	if err != nil {
		return "", fmt.Errorf("%s: the daemon is neither beside wg-ifconfig nor in PATH: install it", daemon)
	}
	return path, nil
}

// finalError splits the output of a daemon that ended without a report into its
// error, if its last line is one, and the rest.
func finalError(output string, err error) (sentence, rest string) {
	if !errors.Is(err, process.ErrSilent) {
		return "", output
	}
	text := strings.TrimRight(output, "\n")
	begin := strings.LastIndex(text, "\n") + 1
	sentence, found := strings.CutPrefix(text[begin:], daemon+": ")
	if !found {
		return "", output
	}
	return sentence, text[:begin]
}

// failedToStart returns the error of a daemon that did not start, with the daemon's own
// sentence if there is one.
func failedToStart(name, program, sentence string, err error) error {
	switch {
	case err == nil:
		return nil
	case sentence != "":
	case errors.Is(err, process.ErrSilent):
		return fmt.Errorf("%s: its daemon did not start: %s: %w", name, program, err)
	default:
		sentence = err.Error()
	}
	if strings.HasPrefix(sentence, name+":") || strings.HasPrefix(sentence, name+" ") || strings.Contains(sentence, `"`+name+`"`) {
		return errors.New(sentence)
	}
	return fmt.Errorf("%s: %s", name, sentence)
}

// destroy deletes the interface, which makes its daemon end, and waits for that.
func destroy(c *cli.Call, links *link.Links, name string) error {
	done := c.Progress("waiting for the daemon of " + name + " to end")
	defer done()
	if err := links.Delete(name); err != nil {
		return err
	}
	ended := control.WaitFor(endTime, func() bool {
		_, err := links.Get(name)
		if !errors.Is(err, link.ErrNotFound) {
			return false
		}
		client, err := control.Dial(name)
		if err == nil {
			client.Close()
		}
		return errors.Is(err, control.ErrNotRunning)
	})
	if !ended {
		return fmt.Errorf("%s: the interface is gone, but its daemon still runs: end it with kill(1)", name)
	}
	return nil
}

// setUp brings the interface up or down, and waits until the daemon has noticed.
func setUp(c *cli.Call, links *link.Links, name string, up bool) error {
	if err := setFlag(links, name, up); err != nil {
		return err
	}
	done := c.Progress("waiting for the daemon of " + name)
	defer done()
	var status conf.Status
	var err error
	noticed := control.WaitFor(noticeTime, func() bool {
		status, err = control.StatusOf(name)
		return err == nil && status.Up == up
	})
	switch {
	case err != nil:
		return daemonError{err}
	case !noticed:
		return daemonError{fmt.Errorf("%s: its daemon did not notice the change: see its log", name)}
	case up && status.Fault != "":
		return daemonError{fmt.Errorf("%s: it is up, but does not work: %s", name, status.Fault)}
	}
	return nil
}

// A daemonError is an error of the daemon after a setting was applied. The
// setting is not undone.
type daemonError struct{ error }

// setFlag brings the interface up or down. Linux removes the IPv6 addresses of an
// interface that goes down; setFlag adds them again, because in NetBSD they stay.
func setFlag(links *link.Links, name string, up bool) error {
	before, err := links.Get(name)
	if err != nil {
		return err
	}
	if err := links.SetUp(name, up); err != nil || up {
		return err
	}
	if err := links.SetAddresses(name, before.Addresses); err != nil {
		return fmt.Errorf("keep the addresses: %w", err)
	}
	return nil
}
