package main

import (
	"cmp"
	"context"
	"errors"
	"io"
	"os"

	"wgd/conf"
	"wgd/internal/cli"
	"wgd/internal/control"
	"wgd/internal/nameserver"
	"wgd/internal/netsetup"
	"wgd/internal/sys/process"
	"wgd/internal/sys/tun"
	"wgd/internal/sys/unixsocket"
	"wgd/wg"
)

// Environment variables that wireguard-go has as well.
const (
	envForeground = "WG_PROCESS_FOREGROUND"
	envTUN        = "WG_TUN_FD"
	envControl    = "WG_UAPI_FD"
	envLogLevel   = "LOG_LEVEL"
)

func runInterface(c *cli.Call) error {
	name := c.Arg("NAME")
	if err := conf.ValidInterfaceName(name); err != nil {
		return err
	}
	if c.Has(optForeground.Long) || os.Getenv(envForeground) == "1" {
		return serve(c, name)
	}
	readers, err := readGroup(c)
	if err != nil {
		return err
	}
	done := c.Progress("waiting for the interface")
	defer done()
	passed := os.Getenv(envTUN) != ""
	err = background(name, readers)
	if passed {
		return err
	}
	return explainRights(name, "CONF", err)
}

// serve runs the interface until a signal or the deletion of the interface.
func serve(c *cli.Call, name string) error {
	parent, err := process.FindParent()
	if err != nil {
		return err
	}
	ctx, stop := process.UntilTerminated()
	defer stop()
	created := os.Getenv(envTUN) != ""
	readers, err := readGroup(c)
	if err != nil {
		if parent.Notify(err) {
			return cli.Status(1)
		}
		return err
	}
	err = runUntilEnd(ctx, name, readers, c.Stderr, func() error {
		created = true
		if parent.Waiting() && !keepsOutput() {
			if err := process.DiscardStderr(); err != nil {
				return err
			}
		}
		parent.Notify(nil)
		return nil
	})
	if !created && !parent.Waiting() {
		err = explainRights(name, "CONF", err)
	}
	if parent.Notify(err) {
		return cli.Status(1) // the command that started this one prints the error
	}
	return err
}

// runUntilEnd runs the interface until ctx is done or the interface is deleted. It calls
// ready when the interface and the control socket exist.
func runUntilEnd(ctx context.Context, name string, readers *unixsocket.Group, stderr io.Writer, ready func() error) error {
	processors := processors()
	device, err := process.Inherited(envTUN)
	if err != nil {
		return err
	}
	if device != nil {
		// As in wireguard-go, because wg(8) uses the name of the interface.
		name = cmp.Or(tun.NameOf(device), name)
	}
	log := openLog(stderr, name)
	// Listen first, because that fails if another daemon uses the name.
	server, err := listen(name, readers)
	if err != nil {
		return err
	}
	defer server.Close()
	w, err := wg.Open(wg.Options{Name: name, TUN: device, Log: log.Logger, Processors: processors})
	if err != nil {
		return err
	}
	defer w.Close()
	served := make(chan error, 1)
	go func() { served <- server.Serve(target{w, log, &trimmer{}}) }()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go nameserver.Open(netsetup.Folder(), nil).Keep(ctx, name, func(done string, err error) {
		if err != nil {
			log.Warn(err.Error())
			return
		}
		log.Debug(done)
	})
	if err := ready(); err != nil {
		return err
	}
	log.Debug("the interface is ready", "socket", server.Path())
	return wait(ctx, w, served, log)
}

// wait returns when the daemon must end: nil after a signal or the deletion of the
// interface, or else the error.
func wait(ctx context.Context, w *wg.Interface, served <-chan error, log *logger) error {
	select {
	case <-ctx.Done():
		return nil
	case err := <-served:
		return err
	case <-w.Done():
		err := w.Err()
		if errors.Is(err, wg.ErrInterfaceGone) {
			// A62: the deletion was intended, so it is not an error.
			log.Warn(err.Error() + ": the daemon ends with it")
			return nil
		}
		return err
	}
}

func listen(name string, readers *unixsocket.Group) (*control.Server, error) {
	file, err := process.Inherited(envControl)
	if err != nil {
		return nil, err
	}
	if file != nil {
		return control.FromFile(file, name, readers)
	}
	return control.Listen(name, readers)
}
