package control

import (
	"errors"
	"os"
)

// Server is the daemon's end of the socket.
type Server struct{}

// Listen makes the socket of the interface, mode 0600. A socket without a
// listener is replaced; one that answers means that the interface runs.
func Listen(name string) (*Server, error) { return nil, errors.New("contract") }

// FromFile makes a Server of a listening socket that was inherited
// (WG_UAPI_FD). It takes over f.
func FromFile(f *os.File, name string) (*Server, error) { return nil, errors.New("contract") }

// Serve answers requests until Close, and then returns nil.
func (s *Server) Serve(t Target) error { return errors.New("contract") }

// Path is where the socket is.
func (s *Server) Path() string { return "" }

// File is a copy of the listening socket, for a child process's WG_UAPI_FD.
func (s *Server) File() (*os.File, error) { return nil, errors.New("contract") }

// Close removes the socket and ends Serve and every connection.
func (s *Server) Close() error { return nil }

// Release closes this process's end and leaves the socket to the child that
// inherited it.
func (s *Server) Release() error { return nil }
