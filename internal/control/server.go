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
	"slices"
	"time"

	"wgd/conf"
	"wgd/internal/sys/errno"
	"wgd/internal/sys/flock"
	"wgd/internal/sys/process"
	"wgd/internal/sys/unixsocket"
	"wgd/internal/sys/yield"
	"wgd/internal/uapi"
)

const answerBuffer = 64 << 10

// A Server is the daemon's end of the socket.
type Server struct {
	name        string
	path        string // of the socket file
	listener    listener
	socketInfo  os.FileInfo // of our socket file, so that Close removes no other; nil if there is none
	connections *connections
	readers     *unixsocket.Group // may read; nil: no group may
	readings    chan struct{}     // has an element for each answer to a get of theirs
	uid         uint32            // of this process
	peerOf      func(net.Conn) (unixsocket.Peer, error)
}

// listener is a *net.UnixListener, except in tests on virtual time.
type listener interface {
	Accept() (net.Conn, error)
	Close() error
	File() (*os.File, error)
}

// Listen makes the socket of an interface, with mode 0600, or 0660 for a group of readers
// (nil: none), whose members may read the state without secret keys. It replaces a socket
// that no daemon listens on, and returns an error if one does.
//
// A lock keeps two daemons with the same name from replacing each other's socket.
func Listen(name string, readers *unixsocket.Group) (*Server, error) {
	if err := conf.ValidInterfaceName(name); err != nil {
		return nil, err
	}
	return ListenAt(filepath.Join(dirs()[0], name+suffix), name, readers)
}

// ListenAt is like Listen, with another path of the socket.
func ListenAt(path, name string, readers *unixsocket.Group) (*Server, error) {
	if unixsocket.Unsupported != nil {
		return nil, explain(name, path, unixsocket.Unsupported)
	}
	dir := filepath.Dir(path)
	if _, err := nameOf(path); err != nil || !isPath(path) {
		return nil, fmt.Errorf("%s: other commands would not accept the control socket %s: it must be called like an interface, and end in .sock: %s for example",
			name, path, filepath.Join(dir, name+suffix))
	}
	if err := makeDir(dir); err != nil {
		return nil, explainListen(name, dir, err)
	}
	if err := checkPassable(name, dir, readers); err != nil {
		return nil, err
	}
	lock, err := flock.ExclusiveTemporary(path + ".lock")
	if err != nil {
		return nil, explainListen(name, dir, err)
	}
	defer lock.Close()
	if err := checkNotRunning(name, path); err != nil {
		return nil, err
	}
	if info, err := os.Lstat(path); err == nil && info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: %s is a file that is no socket: choose another path for the control socket, or remove the file", name, path)
	}
	listener, err := unixsocket.Make(path, readers)
	if err != nil {
		return nil, explainListen(name, dir, err)
	}
	return newServer(name, path, listener, readers)
}

// ErrRunning is matched (errors.Is) by the error of Listen if a daemon listens there.
var ErrRunning = errors.New("already running")

// A running error is ErrRunning as a sentence.
type running string

func (e running) Error() string { return string(e) }

func (e running) Is(target error) bool { return target == ErrRunning }

// makeDir makes the directory of the sockets if it does not exist. Every user
// may list it, whatever the umask of this process.
func makeDir(dir string) error {
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	return os.Chmod(dir, 0o755)
}

// checkPassable returns an error if no reader could get to a socket in the folder.
func checkPassable(name, dir string, readers *unixsocket.Group) error {
	if readers == nil {
		return nil
	}
	if dir, err := filepath.Abs(dir); err == nil {
		for ; dir != "/"; dir = filepath.Dir(dir) {
			// A group may also be let in by an access control list, of which the bits of the
			// folder's group show the most that it grants.
			if info, err := os.Stat(dir); err == nil && info.Mode().Perm()&0o011 == 0 {
				return fmt.Errorf("%s: the group %s cannot reach the control socket, because only the owner of %s may pass through it (mode %#o): chmod it to 755, or choose another folder",
					name, readers.Name, dir, info.Mode().Perm())
			}
		}
	}
	return nil
}

// checkNotRunning returns an error if a daemon listens on the interface's socket.
func checkNotRunning(name, path string) error {
	conn, err := net.DialTimeout("unix", path, pauseTimeout)
	switch {
	case err == nil && path == SocketPath(name):
		conn.Close()
		return running(fmt.Sprintf("%s is already running: use it, or end it first (wg-ifconfig %s destroy)", name, name))
	case err == nil:
		conn.Close()
		return running(fmt.Sprintf("%s is already running, with the control socket %s: use it, or end it first", name, path))
	case errno.NobodyListens(err):
		return nil
	}
	return explain(name, path, err)
}

// explain turns an error of a system call into a sentence. The path is that of the socket.
func explain(name, path string, err error) error {
	if errors.Is(err, os.ErrPermission) {
		sentence := fmt.Sprintf("%s: permission denied on %s: do this as root", name, path)
		if g, ok := unixsocket.GroupOf(path); ok {
			sentence += fmt.Sprintf(", or, if reading is enough, as a member of the group %s (a session has the groups of its login)", g.Name)
		}
		return &permissionError{sentence, err}
	}
	return fmt.Errorf("%s: control socket: %w", name, err)
}

// explainListen is explain for a daemon, which makes the socket.
func explainListen(name, dir string, err error) error {
	if errors.Is(err, os.ErrPermission) && !slices.Contains(dirs(), dir) {
		return fmt.Errorf("%s: no permission to make the control socket in %s: choose a folder that is yours alone (%w)", name, dir, err)
	}
	if errors.Is(err, os.ErrPermission) {
		return fmt.Errorf("%s: no permission to make the control socket in %s: do this as root, or set XDG_RUNTIME_DIR to a folder that is yours alone (%w)", name, dir, err)
	}
	return explain(name, dir, err)
}

// A permissionError is a permission error as a sentence, without the text of the
// system's error.
type permissionError struct {
	sentence string
	err      error
}

func (e *permissionError) Error() string { return e.sentence }

func (e *permissionError) Unwrap() error { return e.err }

// FromFile makes a Server from an inherited listening socket (WG_UAPI_FD), whose mode and
// group are the business of who made it. It closes f.
func FromFile(f *os.File, name string, readers *unixsocket.Group) (*Server, error) {
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
		return nil, fmt.Errorf("%s: the inherited control socket is not a listening unix socket: give the descriptor of one (WG_UAPI_FD)", name)
	}
	unix.SetUnlinkOnClose(false)
	return newServer(name, SocketPath(name), unix, readers)
}

func newServer(name, path string, listener *net.UnixListener, readers *unixsocket.Group) (*Server, error) {
	socketInfo, err := os.Lstat(path)
	if err != nil {
		// An inherited socket need not be in the directory.
		socketInfo = nil
	}
	limit := min(maxConnections, process.MaxFiles()/2)
	return &Server{name: name, path: path, listener: listener, socketInfo: socketInfo, connections: newConnections(limit),
		readers: readers, readings: make(chan struct{}, maxReadings), uid: uint32(os.Geteuid()), peerOf: peerOf}, nil
}

// Path returns the path of the socket.
func (s *Server) Path() string { return s.path }

// File returns a copy of the listening socket, for WG_UAPI_FD of a child
// process.
func (s *Server) File() (*os.File, error) { return s.listener.File() }

// Serve answers requests until Close or Release, after which it returns nil.
func (s *Server) Serve(t Target) error {
	for {
		conn, err := s.listener.Accept()
		switch {
		case err == nil:
			if c := s.connections.add(conn, s.rightsOf(conn)); c != nil {
				go func() {
					defer s.connections.remove(c)
					s.serveConn(c, t)
				}()
			}
		case s.connections.isClosed():
			return nil
		case errors.Is(err, net.ErrClosed):
			return fmt.Errorf("%s: control socket: %w", s.name, err)
		default:
			if errno.FilesUsedUp(err) {
				s.connections.evictIdle()
			}
			time.Sleep(acceptPause)
		}
	}
}

// acceptPause is the time between an error of Accept and the next attempt.
const acceptPause = 50 * time.Millisecond

// serveConn answers the requests of one connection, one after the other, as far as its
// rights permit them.
func (s *Server) serveConn(conn *connection, t Target) {
	requests := uapi.NewDecoder(conn)
	requests.Permit(func(operation string) *uapi.Error { return s.permit(conn.rights, operation) })
	requests.BeforeRead(func(begun bool) { conn.mayPause = !begun })
	answers := pacedWriter{w: conn}
	answer := bufio.NewWriterSize(&answers, answerBuffer)
	for {
		request, err := requests.Next()
		switch {
		case errors.Is(err, io.ErrUnexpectedEOF):
			s.writeResult(answer, incompleteRequest("the request ended before its empty line"))
			return
		case errors.Is(err, os.ErrDeadlineExceeded):
			s.writeResult(answer, incompleteRequest(fmt.Sprintf("the request paused for %v", pauseTimeout)))
			return
		}
		var refused *uapi.Error
		switch {
		case errors.As(err, &refused):
			err = s.writeResult(answer, refused)
		case err != nil:
			return
		case request.Get:
			err = s.status(conn, &answers, answer, t)
		case request.Summary:
			err = s.writeSummary(conn, answer, t)
		case request.Connect != "":
			err = s.connect(conn, answer, t, &request)
		case request.Capture != nil:
			s.capture(conn, answer, t, *request.Capture)
			return
		case request.Watch:
			s.events(streamRequest{conn, requests, answer}, t, request.After)
			return
		case request.Wants:
			s.wants(streamRequest{conn, requests, answer}, t)
			return
		case request.Refuse != nil:
			err = s.writeResult(answer, refuse(t, *request.Refuse))
		case request.Reload:
			conn.work(func() { err = reload(t) })
			err = s.writeResult(answer, err)
		default:
			conn.work(func() { err = apply(t, conn, request.Change) })
			request.Change.Erase()
			err = s.writeResult(answer, err)
		}
		if err != nil {
			return
		}
	}
}

// pacedWriter pauses between the parts of a large answer, so that composing it does not
// delay packets.
type pacedWriter struct {
	w     io.Writer
	pacer yield.Pacer
}

func (p *pacedWriter) Write(b []byte) (int, error) {
	if len(b) == answerBuffer { // it is not the end of the answer
		p.pacer.Pause()
	}
	return p.w.Write(b)
}

// apply applies a change, and tells a Recorder who requested it.
func apply(t Target, conn *connection, change conf.Change) error {
	if r, ok := t.(Recorder); ok {
		return r.ApplyBy(callerOf(conn.Conn), change)
	}
	return t.Apply(change)
}

// reload makes a Reloader read its file again.
func reload(t Target) error {
	if r, ok := t.(Reloader); ok {
		return r.Reload()
	}
	return &uapi.Error{Errno: uapi.EPROTO, Sentence: "this daemon has no file that it could read again: wgd reload does it for an interface"}
}

// writeSummary answers with the summary of a Summarizer.
func (s *Server) writeSummary(conn *connection, answer *bufio.Writer, t Target) error {
	summarizer, ok := t.(Summarizer)
	if !ok {
		return s.writeResult(answer, &uapi.Error{Errno: uapi.EPROTO, Sentence: "this daemon makes no summary: read its status"})
	}
	var summary conf.Summary
	conn.work(func() { summary = summarizer.Summary() })
	return uapi.WriteSummary(answer, &summary)
}

// incompleteRequest returns the error for a request that was not read to its end.
func incompleteRequest(why string) error {
	return &uapi.Error{Errno: uapi.EPROTO, Sentence: why + ": nothing of it was applied"}
}

// writeResult answers a request that has no other answer: it was applied (nil),
// or refused because of err.
func (s *Server) writeResult(answer *bufio.Writer, err error) error {
	if err == nil {
		return uapi.WriteResult(answer, 0, "")
	}
	return uapi.WriteResult(answer, errnoOf(err), err.Error())
}

// errnoOf returns the error number for an error, which wg prints as text.
func errnoOf(err error) int {
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

// Close removes the socket file, unless another daemon has replaced it, and ends
// Serve and all connections. It waits for requests in progress, so Apply and
// Status must not call it.
func (s *Server) Close() error {
	if now, err := os.Lstat(s.Path()); err == nil && s.socketInfo != nil && os.SameFile(now, s.socketInfo) {
		os.Remove(s.Path())
	}
	return s.Release()
}

// Release is like Close, but does not remove the socket file, which then belongs
// to the child process that inherited the listener.
func (s *Server) Release() error {
	err := s.connections.close(s.listener)
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}
