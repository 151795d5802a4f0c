package udp

import (
	"errors"
	"fmt"

	"wgd/internal/batch"
)

// Errors of Send, for errors.Is.
var (
	// ErrSourceGone: the local address in an endpoint does not exist any more and must
	// be forgotten (A52). This error alone means that the train was sent without it.
	ErrSourceGone = batch.ErrSourceGone
	// ErrBacklog: the train, or a part of it, was not sent because too much is queued.
	ErrBacklog = batch.ErrBacklog
	// ErrNoFamily: the host has no socket of the endpoint's address family.
	ErrNoFamily = errors.New("this host has no sockets of that address family")
	// ErrBadEndpoint: no valid address and port to send to.
	ErrBadEndpoint = errors.New("no endpoint to send to")
)

// PortTaken says that another program uses the UDP port.
type PortTaken struct {
	Port  uint16
	Cause error
}

func (e *PortTaken) Error() string {
	return fmt.Sprintf("UDP port %d is taken by another program: see which with \"ss -lunp sport = :%d\", or choose another listen port (0 finds a free one)", e.Port, e.Port)
}

func (e *PortTaken) Unwrap() error { return e.Cause }

// PortForbidden says that this process has no permission for the UDP port.
type PortForbidden struct {
	Port  uint16
	Cause error
}

func (e *PortForbidden) Error() string {
	return fmt.Sprintf("no permission for UDP port %d: choose a listen port of 1024 or more, or run as root or with CAP_NET_BIND_SERVICE", e.Port)
}

func (e *PortForbidden) Unwrap() error { return e.Cause }

// MarkRefused says that the mark could not be set.
type MarkRefused struct {
	Mark  uint32
	Cause error
}

func (e *MarkRefused) Error() string {
	if errors.Is(e.Cause, errors.ErrUnsupported) {
		return fmt.Sprintf("the firewall mark %#x cannot be set: only UDP sockets of Linux have one: set it to 0", e.Mark)
	}
	return fmt.Sprintf("the firewall mark %#x cannot be set on the UDP socket: %v (it needs root or CAP_NET_ADMIN)", e.Mark, e.Cause)
}

func (e *MarkRefused) Unwrap() error { return e.Cause }
