//go:build !darwin && !dragonfly && !freebsd && !linux && !netbsd && !openbsd

package term

type state struct{}

type signals struct{}

func (s *Screen) receive() {}

func (s *Screen) stop() {}

// Suspend does nothing: there are no such signals.
func (s *Screen) Suspend() error { return ErrUnsupported }

func (s *Screen) makeRaw() error {
	return s.control(func(int) error { return ErrUnsupported })
}

func (s *Screen) makeCooked() {}
