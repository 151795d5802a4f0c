package readable

import (
	"io"
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// A Source reads what has arrived at a socket, of which it knows the length. Only one
// goroutine at a time may use it.
type Source struct {
	raw syscall.RawConn
	n   int // bytes that have arrived and were not read yet
	err error

	// Functions for raw, made once so that no call allocates, and what they are about.
	measure func(fd uintptr) bool
	receive func(fd uintptr)
	buf     []byte
	got     int
	poll    []unix.PollFd
}

// SourceOf returns the Source of a *net.TCPConn or *net.UnixConn, or nil if conn is none.
func SourceOf(conn any) *Source {
	var socket syscall.Conn
	switch c := conn.(type) {
	case *net.TCPConn:
		socket = c
	case *net.UnixConn:
		socket = c
	default:
		return nil
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return nil
	}
	s := &Source{raw: raw, poll: []unix.PollFd{{Events: unix.POLLIN}}}
	s.measure, s.receive = s.measureOnce, s.receiveOnce
	return s
}

// Wait waits until a read from the socket would not block. Then Len is how many bytes
// have arrived, or 0 if the stream has ended or reading returns an error. Wait returns an
// error if the read deadline of the connection passes or the connection is closed.
func (s *Source) Wait() error { return s.raw.Read(s.measure) }

func (s *Source) measureOnce(fd uintptr) bool {
	n, err := unix.IoctlGetInt(int(fd), unix.SIOCINQ)
	if s.n = max(n, 0); err == nil && n > 0 {
		return true
	}
	s.poll[0].Fd, s.poll[0].Revents = int32(fd), 0
	ready, err := unix.Poll(s.poll, 0)
	return ready > 0 || err != nil // the read shows what is wrong
}

// Len returns how many of the bytes that Wait has found were not read yet.
func (s *Source) Len() int { return s.n }

// Err returns the error of the last Read.
func (s *Source) Err() error { return s.err }

// Read reads some of the Len bytes. They are there, so it does not wait, and has no
// deadline. It never returns io.EOF: if they are not there, that is io.ErrUnexpectedEOF.
func (s *Source) Read(b []byte) (int, error) {
	if s.buf = b[:min(len(b), s.n)]; len(s.buf) == 0 {
		return 0, nil
	}
	s.got, s.err = 0, nil
	err := s.raw.Control(s.receive)
	if s.buf = nil; err != nil {
		s.err = err
	}
	if s.got == 0 && s.err == nil {
		s.err = io.ErrUnexpectedEOF
	}
	s.n -= s.got
	return s.got, s.err
}

func (s *Source) receiveOnce(fd uintptr) {
	n, err := unix.Read(int(fd), s.buf)
	for err == unix.EINTR {
		n, err = unix.Read(int(fd), s.buf)
	}
	switch {
	case n > 0:
		s.got = n
	case err != unix.EAGAIN:
		s.err = err
	}
}
