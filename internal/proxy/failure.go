package proxy

import (
	"context"
	"errors"
	"net"
	"strings"

	"wgd/internal/sys/errno"
)

// A failure is why a connection to a target failed, as far as a client is told.
type failure int

const (
	otherFailure failure = iota
	refused
	hostUnreachable
	networkUnreachable
	timedOut
)

// stackErrors are the errors of gVisor, which have no type outside of it.
var stackErrors = []struct {
	text string
	failure
}{
	{"connection was refused", refused},
	{"no route to host", hostUnreachable},
	{"host is down", hostUnreachable},
	{"network is unreachable", networkUnreachable},
	{"operation timed out", timedOut},
}

// failureOf classifies an error of dial.
func failureOf(err error) failure {
	var lookup *lookupError
	var timeout net.Error
	switch {
	case errors.As(err, &lookup): // also when that timed out: nothing is known of the way
		return hostUnreachable
	case errno.Refused(err):
		return refused
	case errno.HostUnreachable(err):
		return hostUnreachable
	case errno.NetworkUnreachable(err):
		return networkUnreachable
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return timedOut
	}
	text := err.Error()
	for _, e := range stackErrors {
		if strings.HasSuffix(text, e.text) {
			return e.failure
		}
	}
	return otherFailure
}
