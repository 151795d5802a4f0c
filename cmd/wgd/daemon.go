package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"

	"wgd/conf"
	"wgd/internal/cli"
	"wgd/internal/control"
	"wgd/internal/sys/process"
	"wgd/wg"
)

// The environment of wireguard-go, and readyFD, with which a daemon tells the
// command that started it that it is ready, or why it is not.
const (
	envForeground = "WG_PROCESS_FOREGROUND"
	envTUN        = "WG_TUN_FD"
	envControl    = "WG_UAPI_FD"
	envReady      = "WGD_READY_FD"
	envLogLevel   = "LOG_LEVEL"
)

func runInterface(c *cli.Call) error {
	name := c.Arg("NAME")
	if err := conf.ValidInterfaceName(name); err != nil {
		return err
	}
	level, err := logLevel(os.Getenv(envLogLevel))
	if err != nil {
		return err
	}
	if c.Has("foreground") || os.Getenv(envForeground) == "1" {
		return serve(name, newLogger(c.Stderr, level, name))
	}
	done := c.Progress("waiting for the interface")
	defer done()
	return background(name)
}

// serve is the daemon: it runs the interface until a signal or its deletion.
func serve(name string, log *logger) error {
	ready, err := inherited(envReady)
	if err != nil {
		return err
	}
	report := &readiness{pipe: ready}
	err = runUntilEnd(name, log, report)
	if report.send(err) {
		return cli.Status(1) // the command that started us prints the error
	}
	return err
}

func runUntilEnd(name string, log *logger, report *readiness) error {
	processors := processors()
	ctx, stop := process.UntilTerminated()
	defer stop()
	// The socket first: it is what tells that the name is taken by a daemon.
	server, err := listen(name)
	if err != nil {
		return err
	}
	defer server.Close()
	device, err := inherited(envTUN)
	if err != nil {
		return err
	}
	w, err := wg.Open(wg.Options{Name: name, TUN: device, Log: log.Logger, Processors: processors})
	if err != nil {
		return err
	}
	defer w.Close()
	served := make(chan error, 1)
	go func() { served <- server.Serve(target{w, log, &tidier{}}) }()
	if background := report.pipe != nil; background && !keepsOutput() {
		if err := process.MuteStderr(); err != nil {
			return err
		}
	}
	report.send(nil)
	log.Debug("the interface is ready", "socket", server.Path())
	return wait(ctx, w, served, log)
}

// wait returns at the end: nil when somebody wanted it, by a signal or by the
// deletion of the interface.
func wait(ctx context.Context, w *wg.Interface, served <-chan error, log *logger) error {
	select {
	case <-ctx.Done():
		return nil
	case err := <-served:
		return err
	case <-w.Done():
		err := w.Err()
		if errors.Is(err, wg.ErrInterfaceGone) {
			// A62: in order, for somebody wanted it so; but not in silence.
			log.Warn(err.Error() + ": the daemon ends with it")
			return nil
		}
		return err
	}
}

func listen(name string) (*control.Server, error) {
	file, err := inherited(envControl)
	if err != nil {
		return nil, err
	}
	if file != nil {
		return control.FromFile(file, name)
	}
	return control.Listen(name)
}

// inherited is the file whose descriptor stands in an environment variable, or
// nil without one. The variable is unset: nobody else shall use the number.
func inherited(variable string) (*os.File, error) {
	value := os.Getenv(variable)
	if value == "" {
		return nil, nil
	}
	os.Unsetenv(variable)
	fd, err := strconv.ParseUint(value, 10, 31)
	if err != nil {
		return nil, fmt.Errorf("%s=%q: not a descriptor: give the number of an open file", variable, value)
	}
	return process.Inherited(int(fd), variable), nil
}

// readiness is the pipe to the command that started the daemon. What is sent
// first counts: an empty message when it is ready, else the error.
type readiness struct{ pipe *os.File }

// send reports whether somebody was told.
func (r *readiness) send(err error) bool {
	if r.pipe == nil {
		return false
	}
	message := readyMessage
	if err != nil {
		message = err.Error()
	}
	_, writeErr := io.WriteString(r.pipe, message)
	r.pipe.Close()
	r.pipe = nil
	return writeErr == nil && err != nil
}

const readyMessage = "ready"

// await reads what a daemon sent: nil when it is ready.
func await(pipe io.Reader) error {
	message, err := io.ReadAll(pipe)
	switch {
	case err != nil:
		return err
	case string(message) == readyMessage:
		return nil
	case len(message) == 0:
		return errors.New("the daemon ended at once and did not say why: see what \"wgd -f\" prints")
	}
	return errors.New(string(message))
}
