// Package uapi is the language of the control socket: wireguard-tools'
// cross-platform protocol, both ways. A request is lines of key=value up to an
// empty line; the first is get=1 or set=1. So is an answer, which ends with
// errno=0 or errno=-N.
//
// The daemon's side reads requests with a Decoder and answers with WriteStatus
// or WriteResult. The client's side asks with WriteGet or WriteChange and
// reads with a Reader.
//
// The keys are the rows of two tables, interfaceRows and peerRows, over which
// all of these loop. Some are ours, which wireguard-tools passes over.
// docs/control-socket.md describes the language.
//
// In an answer, the sentence for the person who asked (error=) stands after
// errno=, because wg reads the first line of the answer to a set, and no other.
package uapi

import "fmt"

// MaxLine is the longest line in bytes, without its end. The longest that wg
// writes is an endpoint, far below.
const MaxLine = 4096

// The errors of the language itself, by their numbers on the socket: those of
// Linux, negative there as wireguard-go sends them, for wg prints them with
// strerror(3).
const (
	EIO        = 5
	EINVAL     = 22
	EPROTO     = 71
	EADDRINUSE = 98
)

// Error is a refusal: on the daemon's side a request that is wrong, on the
// client's side the daemon's answer.
type Error struct {
	Errno    int // positive
	Sentence string
}

func (e *Error) Error() string {
	if e.Sentence == "" {
		return fmt.Sprintf("refused with error number %d", e.Errno)
	}
	return e.Sentence
}

func refusef(errno int, format string, args ...any) *Error {
	return &Error{Errno: errno, Sentence: fmt.Sprintf(format, args...)}
}
