package term

import (
	"errors"
	"os"
)

// ErrUnsupported is the error of systems on which this package cannot switch a terminal.
var ErrUnsupported = errors.New("this system's terminals are not supported")

// A Screen is a terminal on which a program draws by itself: keys arrive as they are
// typed, are not shown, and Ctrl-S is a key like others. Ctrl-C and Ctrl-Z are still
// signals.
type Screen struct {
	in  *os.File
	was state

	// Resized, Suspended and Ended receive the signals: the terminal has another size;
	// Ctrl-Z was typed, and Suspend is to be called; and the program is to end, because
	// it is asked to, or because the terminal is gone.
	Resized, Suspended, Ended <-chan os.Signal

	signals
}

// Open switches the terminal from which in reads, and begins to receive signals. Restore
// must be called in any case before the process ends.
func Open(in *os.File) (*Screen, error) {
	s := &Screen{in: in}
	if err := s.makeRaw(); err != nil {
		return nil, err
	}
	s.receive()
	return s, nil
}

// Restore switches the terminal back. It may be called more than once.
func (s *Screen) Restore() {
	s.stop()
	s.makeCooked()
}

// control calls f with the descriptor of the terminal.
func (s *Screen) control(f func(fd int) error) error {
	conn, err := s.in.SyscallConn()
	if err != nil {
		return err
	}
	var failure error
	err = conn.Control(func(fd uintptr) { failure = f(int(fd)) })
	return errors.Join(err, failure)
}
