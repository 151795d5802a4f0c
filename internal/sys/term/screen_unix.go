//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package term

import (
	"os"
	"os/signal"
	"time"

	"golang.org/x/sys/unix"
)

type state = unix.Termios

// stopTime is how long after the signal the process may still run.
const stopTime = 200 * time.Millisecond

type signals struct {
	resized, suspended, ended, continued chan os.Signal
}

func (s *Screen) receive() {
	s.resized, s.suspended = make(chan os.Signal, 1), make(chan os.Signal, 1)
	s.ended, s.continued = make(chan os.Signal, 1), make(chan os.Signal, 1)
	s.Resized, s.Suspended, s.Ended = s.resized, s.suspended, s.ended
	signal.Notify(s.resized, unix.SIGWINCH)
	signal.Notify(s.suspended, unix.SIGTSTP)
	signal.Notify(s.ended, unix.SIGINT, unix.SIGTERM, unix.SIGHUP, unix.SIGQUIT)
}

func (s *Screen) stop() {
	for _, c := range []chan os.Signal{s.resized, s.suspended, s.ended} {
		signal.Stop(c)
	}
}

// Suspend switches the terminal back and stops the process, as Ctrl-Z does. It returns
// when the process is continued and the terminal is switched again. Without a shell that
// could continue the process, as under ssh -t HOST COMMAND, it only switches twice.
func (s *Screen) Suspend() error {
	s.makeCooked()
	// A shell with job control gives each job a process group, other than its own.
	if session, err := unix.Getsid(0); err == nil && session != unix.Getpgrp() {
		signal.Notify(s.continued, unix.SIGCONT)
		defer signal.Stop(s.continued)
		// Not SIGTSTP: signal.Reset leaves the handler of the runtime in place, which
		// ignores it.
		if err := unix.Kill(os.Getpid(), unix.SIGSTOP); err != nil {
			return err
		}
		select { // the signal may reach another thread a little later
		case <-s.continued:
		case <-time.After(stopTime):
		}
	}
	return s.makeRaw()
}

func (s *Screen) makeRaw() error {
	return s.control(func(fd int) error {
		was, err := unix.IoctlGetTermios(fd, getTermios)
		if err != nil {
			return err
		}
		s.was = *was
		raw := *was
		raw.Iflag &^= unix.IXON | unix.ICRNL | unix.INLCR | unix.IGNCR | unix.ISTRIP
		raw.Lflag &^= unix.ICANON | unix.ECHO | unix.IEXTEN
		raw.Cc[unix.VMIN], raw.Cc[unix.VTIME] = 1, 0
		return unix.IoctlSetTermios(fd, setTermios, &raw)
	})
}

func (s *Screen) makeCooked() {
	// An error means that the terminal is gone.
	_ = s.control(func(fd int) error { return unix.IoctlSetTermios(fd, setTermios, &s.was) })
}
