// Package process has what a daemon needs of the system: it starts the daemon in the
// background and reports when it is ready, takes over open files, and receives the
// signals that end it.
package process

import (
	"errors"
	"io"
	"os"
)

// envReady names the descriptor of the pipe through which a daemon reports to the
// program that started it (Background) that it is ready, or why it is not.
const envReady = "WGD_READY_FD"

// A Parent is the daemon's end of that pipe. Only the first report counts.
type Parent struct{ pipe *os.File }

// FindParent finds the program that waits for this one to be ready. It always returns a
// Parent, whose methods do nothing if there is no such program.
func FindParent() (*Parent, error) {
	pipe, err := Inherited(envReady)
	return &Parent{pipe}, err
}

// Waiting reports whether a program still waits.
func (r *Parent) Waiting() bool { return r.pipe != nil }

// Notify reports to the waiting program that this one is ready, or with an error why
// it will not be. It returns whether an error was delivered.
func (r *Parent) Notify(err error) bool {
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

// ErrSilent is what Background returns, wrapped, if the program ended before it was
// ready and did not report why.
var ErrSilent = errors.New("it ended at once and did not say why")

// await reads the report of a daemon. It returns nil if the daemon is ready.
func await(pipe io.Reader) error {
	message, err := io.ReadAll(pipe)
	switch {
	case err != nil:
		return err
	case string(message) == readyMessage:
		return nil
	case len(message) == 0:
		return ErrSilent
	}
	return errors.New(string(message))
}
