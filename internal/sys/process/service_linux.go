package process

import (
	"fmt"
	"net"
	"os"

	"golang.org/x/sys/unix"

	"wgd/internal/quote"
)

const envNotify = "NOTIFY_SOCKET"

// A NotifySocket tells a service manager the state of this process, in the language of
// sd_notify(3). The methods of one that is nil do nothing.
type NotifySocket struct{ conn net.Conn }

// FindNotifySocket connects to the service manager that started this process; nil if
// there is none. It unsets the variable, so that programs that are started do not take
// themselves for the service.
func FindNotifySocket() (*NotifySocket, error) {
	address := os.Getenv(envNotify)
	os.Unsetenv(envNotify)
	if address == "" {
		return nil, nil
	}
	if address[0] != '/' && address[0] != '@' {
		return nil, fmt.Errorf("%s=%s: neither a path nor an abstract socket: unset it, or give it one of these", envNotify, quote.Path(address))
	}
	conn, err := net.Dial("unixgram", address) // @ is an abstract socket in package net too
	if err != nil {
		return nil, fmt.Errorf("%s: the service manager cannot be told that the tunnel is up: %w: unset the variable if there is none", envNotify, err)
	}
	return &NotifySocket{conn}, nil
}

// Ready tells that the service works, and its state in words.
func (m *NotifySocket) Ready(status string) error { return m.send("READY=1\nSTATUS=" + status) }

// Reloading tells that the service reads its configuration again. Ready ends that.
func (m *NotifySocket) Reloading() error {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		return err
	}
	return m.send(fmt.Sprintf("RELOADING=1\nMONOTONIC_USEC=%d\nSTATUS=reloading", now.Nano()/1000))
}

// Stopping tells that the service ends.
func (m *NotifySocket) Stopping() error { return m.send("STOPPING=1\nSTATUS=going down") }

// Status tells the state in words.
func (m *NotifySocket) Status(status string) error { return m.send("STATUS=" + status) }

func (m *NotifySocket) send(text string) error {
	if m == nil {
		return nil
	}
	if _, err := m.conn.Write([]byte(text)); err != nil {
		return fmt.Errorf("%s: the service manager cannot be told the state of the service: %w", envNotify, err)
	}
	return nil
}
