// Package uapi implements the language of the control socket, which is the
// cross-platform protocol of wireguard-tools, for clients and daemons. A request
// consists of lines of key=value and ends with an empty line; the first line is
// get=1, set=1, summary=1, reload=1, capture=1, events=SEQ or connect=HOST:PORT. An answer
// has the same form, and contains errno=0 or errno=-N. The answer to events=SEQ is a stream:
// one such block for each event.
//
// A daemon reads requests with a Decoder and answers with WriteStatus or
// WriteResult. A client sends requests with WriteGet or WriteChange and reads
// answers with a Reader.
//
// The keys are the rows of two tables, interfaceRows and peerRows, over which
// all of these loop. wireguard-tools ignores those that we added.
// docs/control-socket.md describes the language.
//
// In an answer the sentence for the user (error=) follows errno=, because wg
// reads only the first line of the answer to a set.
package uapi

import "fmt"

// MaxLine is the maximum length of a line in bytes, without its end. wg's longest
// line, an endpoint, is much shorter.
const MaxLine = 4096

// Error numbers of Linux, which wg prints with strerror(3). On the socket they
// are negative, as in wireguard-go.
const (
	EPERM      = 1
	EIO        = 5
	EINVAL     = 22
	EPROTO     = 71
	EADDRINUSE = 98
	ESHUTDOWN  = 108
)

// An Error is a refusal of a request. In the daemon, Decoder returns one for an
// invalid request; in the client, Reader returns one for the daemon's answer.
type Error struct {
	Errno    int // positive
	Sentence string
}

func (e *Error) Error() string {
	if e.Sentence == "" {
		return fmt.Sprintf("the daemon refused the request with error number %d", e.Errno)
	}
	return e.Sentence
}

func refusef(errno int, format string, args ...any) *Error {
	return &Error{Errno: errno, Sentence: fmt.Sprintf(format, args...)}
}
