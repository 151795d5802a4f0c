package resolved

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"github.com/godbus/dbus/v5"
	"golang.org/x/sys/unix"
)

const (
	busName    = "org.freedesktop.resolve1"
	objectPath = "/org/freedesktop/resolve1"
	manager    = "org.freedesktop.resolve1.Manager."

	// limit is how long a function of this room takes at most, whatever its ctx allows.
	limit = 10 * time.Second

	// While systemd-resolved is started again, it is not on the bus for a moment.
	startTime = 3 * time.Second
	startStep = 20 * time.Millisecond

	// A new link is unknown to systemd-resolved until it has read the kernel's event.
	// That takes milliseconds, unless the computer is busy.
	noticeTime = 5 * time.Second
	noticeStep = 20 * time.Millisecond
)

// Answers returns nil if systemd-resolved runs on a system bus of this network namespace.
// Otherwise the error is, or wraps, ErrNoBus or ErrNotRunning.
func Answers(ctx context.Context) error {
	return within(ctx, func(context.Context, *dbus.Conn) error { return nil })
}

// Set replaces what was set for a link: name servers, domains and the default route. What
// it does not mention (LLMNR, DNSSEC and so on) stays as it is. It waits for
// systemd-resolved to notice the link if it is new. After an error, part of it may be set.
func Set(ctx context.Context, l Link) error {
	servers := make([]address, len(l.Servers))
	for i, a := range l.Servers {
		servers[i] = addressOf(a)
	}
	domains := make([]domain, len(l.Domains))
	for i, d := range l.Domains {
		domains[i] = domain{Text: d.Name, RouteOnly: d.RouteOnly}
	}
	return within(ctx, func(ctx context.Context, conn *dbus.Conn) error {
		if err := callForNewLink(ctx, conn, "SetLinkDNS", l.Index, servers); err != nil {
			return fmt.Errorf("set the name servers of link %d: %w", l.Index, err)
		}
		if err := call(ctx, conn, "SetLinkDomains", int32(l.Index), domains); err != nil {
			return fmt.Errorf("set the DNS domains of link %d: %w", l.Index, err)
		}
		err := call(ctx, conn, "SetLinkDefaultRoute", int32(l.Index), l.DefaultRoute)
		if err != nil && !isError(err, "org.freedesktop.DBus.Error.UnknownMethod") { // before version 240
			return fmt.Errorf("set the DNS default route of link %d: %w", l.Index, err)
		}
		return nil
	})
}

// Revert removes what was set for a link. A link that is gone has nothing set.
func Revert(ctx context.Context, index int) error {
	return within(ctx, func(ctx context.Context, conn *dbus.Conn) error {
		err := call(ctx, conn, "RevertLink", int32(index))
		if err != nil && !errors.Is(err, ErrNoLink) {
			return fmt.Errorf("revert the DNS settings of link %d: %w", index, err)
		}
		return nil
	})
}

// HasServers reports whether a link has name servers that were set by Set, or by others. A link
// of which systemd-resolved has not heard has none.
func HasServers(ctx context.Context, index int) (has bool, err error) {
	err = within(ctx, func(ctx context.Context, conn *dbus.Conn) error {
		var path dbus.ObjectPath
		var servers []address
		object := conn.Object(busName, objectPath)
		err := object.CallWithContext(ctx, manager+"GetLink", dbus.FlagNoAutoStart, int32(index)).Store(&path)
		if isError(err, "org.freedesktop.resolve1.NoSuchLink") {
			return nil
		}
		if err == nil {
			var value dbus.Variant
			err = conn.Object(busName, path).CallWithContext(ctx, "org.freedesktop.DBus.Properties.Get", dbus.FlagNoAutoStart,
				"org.freedesktop.resolve1.Link", "DNS").Store(&value)
			if err == nil {
				err = value.Store(&servers)
			}
		}
		if err != nil {
			return fmt.Errorf("ask for the name servers of link %d: %w", index, err)
		}
		has = len(servers) > 0
		return nil
	})
	return has, err
}

// within calls f with a connection while systemd-resolved is running, for a limited time.
func within(ctx context.Context, f func(context.Context, *dbus.Conn) error) error {
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("no answer within %v", limit))
	defer cancel()
	conn, err := connect(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err = mustRun(ctx, conn); err == nil {
		err = f(ctx, conn)
	}
	if err != nil && ctx.Err() != nil {
		return fmt.Errorf("%w: %w", err, context.Cause(ctx))
	}
	return err
}

// mustRun returns ErrNotRunning if systemd-resolved is not running. Where the bus could start
// it, it is installed, and may just be on its way.
func mustRun(ctx context.Context, conn *dbus.Conn) error {
	for end := time.Now().Add(startTime); ; {
		owner, err := ownerOf(ctx, conn)
		if err != nil || owner != "" {
			return err
		}
		var names []string
		if err := conn.BusObject().CallWithContext(ctx, "org.freedesktop.DBus.ListActivatableNames", 0).Store(&names); err != nil {
			return err
		}
		if !slices.Contains(names, busName) || time.Now().After(end) {
			return ErrNotRunning
		}
		select {
		case <-ctx.Done():
			return ErrNotRunning
		case <-time.After(startStep):
		}
	}
}

// callForNewLink is like call, for a link of which systemd-resolved may not have heard yet.
func callForNewLink(ctx context.Context, conn *dbus.Conn, method string, index int, arg any) error {
	for end := time.Now().Add(noticeTime); ; {
		err := call(ctx, conn, method, int32(index), arg)
		if !errors.Is(err, ErrNoLink) || time.Now().After(end) {
			return err
		}
		if !linkExists(index) {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(noticeStep):
		}
	}
}

// linkExists asks for one interface. Package net would list all of them, and may miss
// one while others come and go.
func linkExists(index int) bool {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return true // nobody knows
	}
	defer unix.Close(fd)
	request, err := unix.NewIfreq("")
	if err != nil {
		return true
	}
	request.SetUint32(uint32(index))
	return unix.IoctlIfreq(fd, unix.SIOCGIFNAME, request) != unix.ENODEV
}

// call calls a method of systemd-resolved, which must not be started for that.
func call(ctx context.Context, conn *dbus.Conn, method string, args ...any) error {
	object := conn.Object(busName, objectPath)
	err := object.CallWithContext(ctx, manager+method, dbus.FlagNoAutoStart, args...).Err
	switch {
	case isError(err, "org.freedesktop.resolve1.NoSuchLink"):
		return fmt.Errorf("%w: %w", ErrNoLink, err)
	case isError(err, "org.freedesktop.DBus.Error.NameHasNoOwner", "org.freedesktop.DBus.Error.ServiceUnknown",
		"org.freedesktop.DBus.Error.NoReply"): // the last one: it ended before it answered
		return fmt.Errorf("%w: %w", ErrNotRunning, err)
	case isError(err, "org.freedesktop.resolve1.LinkBusy"): // a loopback interface, or one of systemd-networkd
		return fmt.Errorf("%w (if systemd-networkd manages it, exclude it in the [Match] of its .network file)", err)
	case isError(err, "org.freedesktop.DBus.Error.AccessDenied", "org.freedesktop.DBus.Error.InteractiveAuthorizationRequired"):
		return fmt.Errorf("%w: systemd-resolved accepts this from root only", err)
	}
	return err
}

// isError reports whether err is an error of D-Bus with one of these names.
func isError(err error, names ...string) bool {
	var e dbus.Error
	if !errors.As(err, &e) {
		return false
	}
	for _, name := range names {
		if e.Name == name {
			return true
		}
	}
	return false
}

// ownerOf returns the connection of systemd-resolved to the bus, or "". A systemd-resolved
// that was started again has another one.
func ownerOf(ctx context.Context, conn *dbus.Conn) (owner string, err error) {
	const none = "org.freedesktop.DBus.Error.NameHasNoOwner"
	err = conn.BusObject().CallWithContext(ctx, "org.freedesktop.DBus.GetNameOwner", 0, busName).Store(&owner)
	if isError(err, none) {
		return "", nil
	}
	return owner, err
}

// address and domain are what D-Bus calls (iay) and (sb).
type (
	address struct {
		Family int32
		Bytes  []byte
	}
	domain struct {
		Text      string
		RouteOnly bool
	}
)

func addressOf(a netip.Addr) address {
	a = a.Unmap()
	if a.Is4() {
		return address{Family: unix.AF_INET, Bytes: a.AsSlice()}
	}
	return address{Family: unix.AF_INET6, Bytes: a.AsSlice()}
}
