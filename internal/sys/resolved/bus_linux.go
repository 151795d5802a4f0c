package resolved

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/godbus/dbus/v5"
)

// defaultAddress is where the system bus is unless addressVariable says otherwise.
const (
	defaultAddress  = "unix:path=/run/dbus/system_bus_socket"
	addressVariable = "DBUS_SYSTEM_BUS_ADDRESS"
)

// connect connects to the system bus of this network namespace. The connection ends with
// ctx, or when it is closed.
func connect(ctx context.Context) (*dbus.Conn, error) {
	text := os.Getenv(addressVariable)
	if text == "" {
		text = defaultAddress
	}
	var reasons []error
	for one := range strings.SplitSeq(text, ";") {
		socket, err := socketOf(one)
		if err == nil {
			err = mustBeHere(socket)
		}
		if err == nil {
			var conn *dbus.Conn
			if conn, err = dial(ctx, socket); err == nil {
				return conn, nil
			}
		}
		reasons = append(reasons, fmt.Errorf("%s: %w", one, err))
	}
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("connect to the D-Bus system bus: %w", err)
	}
	return nil, fmt.Errorf("%w: %w", ErrNoBus, errors.Join(reasons...))
}

// dial connects to a socket and says hello.
func dial(ctx context.Context, socket string) (*dbus.Conn, error) {
	var d net.Dialer
	c, err := d.DialContext(ctx, "unix", socket)
	if err != nil {
		return nil, err
	}
	return dbus.ConnectUnix(c.(*net.UnixConn), dbus.WithContext(ctx),
		dbus.WithSignalHandler(dbus.NewSequentialSignalHandler()))
}

// socketOf returns the socket of one D-Bus address: a path, or @ and a name in the
// abstract namespace.
func socketOf(address string) (string, error) {
	transport, keys, _ := strings.Cut(address, ":")
	if transport != "unix" {
		return "", errors.New("only Unix sockets are certain to belong to this network namespace")
	}
	for pair := range strings.SplitSeq(keys, ",") {
		key, value, _ := strings.Cut(pair, "=")
		if key != "path" && key != "abstract" {
			continue
		}
		value, err := dbus.UnescapeBusAddressValue(value)
		switch {
		case err != nil:
			return "", err
		case key == "abstract":
			return "@" + value, nil
		case !filepath.IsAbs(value):
			return "", errors.New("the path is not absolute")
		}
		return value, nil
	}
	return "", errors.New("the address has neither a path nor an abstract name")
}

// mustBeHere returns an error if no program of this network namespace listens on the
// socket. The kernel looks up abstract names in one network namespace, but paths in all.
func mustBeHere(socket string) error {
	if strings.HasPrefix(socket, "@") {
		return nil
	}
	file, err := os.Stat(socket)
	if err != nil {
		return err
	}
	table, err := os.ReadFile("/proc/thread-self/net/unix")
	if err != nil {
		return err
	}
	for _, path := range listeners(string(table)) {
		if there, err := os.Stat(path); err == nil && os.SameFile(file, there) {
			return nil
		}
	}
	return errors.New("no program of this network namespace listens on it")
}

// listening is __SO_ACCEPTCON, the flag of a socket on which a program listens.
const listening = 1 << 16

// listeners returns the paths on which programs listen, from the table that the kernel has
// in /proc/net/unix. They are as the programs bound them, so a path can be another one here.
func listeners(table string) (paths []string) {
	for line := range strings.Lines(table) {
		columns, path, found := strings.Cut(strings.TrimSuffix(line, "\n"), " /")
		fields := strings.Fields(columns) // Num RefCount Protocol Flags Type St Inode
		if !found || len(fields) < 4 {
			continue
		}
		if flags, err := strconv.ParseUint(fields[3], 16, 32); err == nil && flags&listening != 0 {
			paths = append(paths, "/"+path)
		}
	}
	return paths
}
