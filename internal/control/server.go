package control

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"wgd/conf"
	"wgd/internal/sys/errno"
	"wgd/internal/sys/flock"
	"wgd/internal/uapi"
)

const (
	// patience is how long a client may pause within a request, or leave a
	// piece of an answer unread. Between requests it may wait for ever.
	patience = 60 * time.Second

	// maxConnections are served at once; more wait to be accepted.
	maxConnections = 512

	answerBuffer = 64 << 10
)

// Server is the daemon's end of the socket.
type Server struct {
	name     string
	listener *net.UnixListener
	ours     os.FileInfo // of the socket's file, so that we remove no other's

	mu     sync.Mutex
	closed bool
	open   map[net.Conn]struct{}
	busy   sync.WaitGroup
}

// Listen makes the socket of the interface, mode 0600. A socket without a
// listener is replaced; one that answers means that the interface runs.
//
// The socket is made in a directory that nobody else may enter, and moved to
// its place when its mode is right; a lock keeps two daemons of one name from
// replacing each other's.
func Listen(name string) (*Server, error) {
	if err := conf.ValidInterfaceName(name); err != nil {
		return nil, err
	}
	if err := makeDir(); err != nil {
		return nil, explain(name, err)
	}
	lock, err := flock.Exclusive(filepath.Join(Dir, ".lock"))
	if err != nil {
		return nil, explain(name, err)
	}
	defer lock.Close()
	if err := vacant(name); err != nil {
		return nil, err
	}
	private, err := os.MkdirTemp(Dir, ".new-")
	if err != nil {
		return nil, explain(name, err)
	}
	defer os.RemoveAll(private)
	s, err := listenIn(private, name)
	if err != nil {
		return nil, explain(name, err)
	}
	return s, nil
}

// makeDir makes the directory of the sockets where there is none. Everybody may
// see which interfaces there are, whatever the umask of who starts the first.
func makeDir() error {
	if _, err := os.Stat(Dir); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.MkdirAll(Dir, 0o755); err != nil {
		return err
	}
	return os.Chmod(Dir, 0o755)
}

// vacant is an error when a daemon answers behind the socket.
func vacant(name string) error {
	conn, err := net.DialTimeout("unix", SocketPath(name), patience)
	switch {
	case err == nil:
		conn.Close()
		return fmt.Errorf("%s already runs: use it, or end it first (wg-ifconfig %s destroy)", name, name)
	case errno.NobodyListens(err):
		return nil
	}
	return explain(name, err)
}

func listenIn(private, name string) (*Server, error) {
	temporary := filepath.Join(private, "s")
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: temporary, Net: "unix"})
	if err != nil {
		return nil, err
	}
	listener.SetUnlinkOnClose(false)
	err = os.Chmod(temporary, 0o600)
	if err == nil {
		err = os.Rename(temporary, SocketPath(name))
	}
	if err != nil {
		listener.Close()
		return nil, err
	}
	return newServer(name, listener)
}

// explain says what one can do about an error that the kernel gave.
func explain(name string, err error) error {
	if errors.Is(err, os.ErrPermission) {
		return &denied{name, err}
	}
	return fmt.Errorf("%s: control socket: %w", name, err)
}

// denied is a permission error as one sentence, without the kernel's words for it.
type denied struct {
	name string
	err  error
}

func (e *denied) Error() string {
	return fmt.Sprintf("%s: permission denied on %s: do this as root", e.name, SocketPath(e.name))
}

func (e *denied) Unwrap() error { return e.err }

// FromFile makes a Server of a listening socket that was inherited
// (WG_UAPI_FD). It takes over f.
func FromFile(f *os.File, name string) (*Server, error) {
	defer f.Close()
	if err := conf.ValidInterfaceName(name); err != nil {
		return nil, err
	}
	listener, err := net.FileListener(f)
	unix, ok := listener.(*net.UnixListener)
	if !ok {
		if err == nil {
			listener.Close()
		}
		return nil, fmt.Errorf("%s: the inherited control socket is none: give the descriptor of a listening unix socket (WG_UAPI_FD)", name)
	}
	unix.SetUnlinkOnClose(false)
	return newServer(name, unix)
}

func newServer(name string, listener *net.UnixListener) (*Server, error) {
	ours, err := os.Lstat(SocketPath(name))
	if err != nil {
		// An inherited socket may be in no directory at all.
		ours = nil
	}
	return &Server{name: name, listener: listener, ours: ours, open: map[net.Conn]struct{}{}}, nil
}

// Path is where the socket is.
func (s *Server) Path() string { return SocketPath(s.name) }

// File is a copy of the listening socket, for a child process's WG_UAPI_FD.
func (s *Server) File() (*os.File, error) { return s.listener.File() }

// Serve answers requests until Close or Release, and then returns nil.
func (s *Server) Serve(t Target) error {
	places := make(chan struct{}, maxConnections)
	for {
		places <- struct{}{}
		conn, err := s.listener.AcceptUnix()
		if err == nil && s.admit(conn) {
			go func() {
				defer s.dismiss(conn)
				s.converse(conn, t)
				<-places
			}()
			continue
		}
		<-places
		if s.isClosed() {
			return nil
		}
		if err != nil && !passing(err) {
			return fmt.Errorf("%s: control socket: %w", s.name, err)
		}
	}
}

// passing reports whether accepting may succeed a moment later (no file
// descriptor left, say), and lets that moment pass.
func passing(err error) bool {
	if errors.Is(err, net.ErrClosed) {
		return false
	}
	time.Sleep(50 * time.Millisecond)
	return true
}

// converse answers the requests of one connection, one after the other.
func (s *Server) converse(conn net.Conn, t Target) {
	requests := uapi.NewDecoder(conn)
	requests.OnStart(func() { conn.SetReadDeadline(time.Now().Add(patience)) })
	answer := bufio.NewWriterSize(slowly{conn}, answerBuffer)
	for {
		request, err := requests.Next()
		conn.SetReadDeadline(time.Time{})
		if errors.Is(err, io.ErrUnexpectedEOF) {
			err = &uapi.Error{Errno: uapi.EPROTO, Sentence: "the request ended before its empty line: nothing of it was applied"}
			s.refuse(answer, err)
			return
		}
		var refused *uapi.Error
		switch {
		case errors.As(err, &refused):
			err = s.refuse(answer, refused)
		case err != nil:
			return
		case request.Get:
			status := t.Status()
			err = uapi.WriteStatus(answer, &status)
			status.Erase()
		default:
			err = t.Apply(request.Change)
			request.Change.Erase()
			err = s.refuse(answer, err)
		}
		if err != nil {
			return
		}
	}
}

// refuse writes what became of a request: done (nil), or the reason why not.
func (s *Server) refuse(answer *bufio.Writer, err error) error {
	if err == nil {
		return uapi.WriteResult(answer, 0, "")
	}
	return uapi.WriteResult(answer, number(err), err.Error())
}

// number is what wg prints an error as.
func number(err error) int {
	var refused *uapi.Error
	switch {
	case errors.As(err, &refused) && refused.Errno > 0:
		return refused.Errno
	case errors.Is(err, conf.ErrInvalid):
		return uapi.EINVAL
	case errno.PortTaken(err):
		return uapi.EADDRINUSE
	case errno.Number(err) != 0:
		return errno.Number(err)
	}
	return uapi.EIO
}

// slowly gives each piece of an answer its own time to be read.
type slowly struct{ net.Conn }

func (c slowly) Write(b []byte) (int, error) {
	c.SetWriteDeadline(time.Now().Add(patience))
	return c.Conn.Write(b)
}

func (s *Server) admit(conn net.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		conn.Close()
		return false
	}
	s.open[conn] = struct{}{}
	s.busy.Add(1)
	return true
}

func (s *Server) dismiss(conn net.Conn) {
	conn.Close()
	s.mu.Lock()
	delete(s.open, conn)
	s.mu.Unlock()
	s.busy.Done()
}

func (s *Server) isClosed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closed
}

// Close removes the socket, if the file there is still ours, and ends Serve
// and every connection. It returns when no request is being carried out, so
// it must not be called from within Apply or Status.
func (s *Server) Close() error {
	if now, err := os.Lstat(s.Path()); err == nil && s.ours != nil && os.SameFile(now, s.ours) {
		os.Remove(s.Path())
	}
	return s.Release()
}

// Release is Close, but leaves the socket's file: to the child that inherited
// the listener.
func (s *Server) Release() error {
	s.mu.Lock()
	s.closed = true
	err := s.listener.Close()
	for conn := range s.open {
		conn.Close()
	}
	s.mu.Unlock()
	s.busy.Wait()
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}
