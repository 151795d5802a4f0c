// Package process has what a daemon needs of the system: to be started in the
// background and say when it is ready, to take over open files, and to hear that
// it shall end.
package process

import (
	"errors"
	"io"
	"os"
)

// envReady has the descriptor with which a daemon tells the program that started
// it (Background) that it is ready, or why it is not.
const envReady = "WGD_READY_FD"

// Parent is the daemon's end of that. What is told first counts.
type Parent struct{ pipe *os.File }

// Starter finds the program that waits for this one to be ready, if there is one.
func FindParent() (*Parent, error) {
	pipe, err := Inherited(envReady)
	return &Parent{pipe}, err
}

// Waits reports whether there is a program that still waits.
func (r *Parent) Waiting() bool { return r.pipe != nil }

// Tell says that this program is ready, or with an error why it will not be. It
// reports whether somebody was told of an error.
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

// ErrSilent is (errors.Is) the error of Background about a program that ended
// before it was ready, and did not say why.
var ErrSilent = errors.New("it ended at once and did not say why")

// await reads what a daemon told: nil when it is ready.
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
