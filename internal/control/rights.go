package control

import (
	"bufio"
	"fmt"
	"net"
	"slices"

	"wgd/conf"
	"wgd/internal/sys/unixsocket"
	"wgd/internal/uapi"
)

// rights are what the program at the other end of a connection may do.
type rights int

const (
	noRights  rights = iota
	mayRead          // a member of the group that may read
	allRights        // the user that runs the daemon, or root
)

// readOperations are the requests that mayRead permits: those that change nothing and
// show no secret. Every other one is refused, also one that is new.
var readOperations = []string{"get", "summary", "events"}

// maxReadings is how many answers to a get those who may only read can have at a time.
// Each is a copy of the whole status until the client has taken it, and the owner of the
// memory is the daemon.
const maxReadings = 4

// rightsOf returns the rights of who has connected. Without a group that may read, the
// system lets nobody connect but the owner of the socket and those who may do everything
// with files.
func (s *Server) rightsOf(conn net.Conn) rights {
	if s.readers == nil {
		return allRights
	}
	peer, err := s.peerOf(conn)
	switch {
	case err != nil:
		return noRights
	case peer.UID == 0 || peer.UID == s.uid:
		return allRights
	case slices.Contains(peer.Groups, s.readers.ID):
		return mayRead
	}
	return noRights
}

// peerOf returns who has connected.
func peerOf(conn net.Conn) (unixsocket.Peer, error) {
	unix, ok := conn.(*net.UnixConn)
	if !ok {
		return unixsocket.Peer{}, net.ErrClosed
	}
	return unixsocket.PeerOf(unix)
}

// permit returns why these rights do not permit a request; nil: they do.
func (s *Server) permit(r rights, operation string) *uapi.Error {
	switch {
	case r == allRights, r == mayRead && slices.Contains(readOperations, operation):
		return nil
	case r == mayRead:
		return forbidden("%s: members of the group %s may read only, and not do this: do it %s", s.name, s.readers.Name, s.owner())
	}
	return forbidden("%s: neither root nor the user that runs the daemon has connected, nor a member of the group %s, which may read: do this %s", s.name, s.readers.Name, s.owner())
}

// owner says who may do everything.
func (s *Server) owner() string {
	if s.uid != 0 {
		return fmt.Sprintf("as the user %d, or as root", s.uid)
	}
	return "as root"
}

func forbidden(format string, args ...any) *uapi.Error {
	return &uapi.Error{Errno: uapi.EPERM, Sentence: fmt.Sprintf(format, args...)}
}

// status answers a request for the state. Those who may only read get it without secret
// keys.
func (s *Server) status(conn *connection, answers *pacedWriter, answer *bufio.Writer, t Target) error {
	if conn.rights != allRights {
		// It counts as working, and is not evicted: the number of those that wait has a limit.
		conn.work(func() { s.readings <- struct{}{} })
		defer func() { <-s.readings }()
		if s.connections.isClosed() {
			return net.ErrClosed
		}
	}
	var status conf.Status
	conn.work(func() { status = t.Status() })
	if conn.rights != allRights {
		status.Withhold()
	}
	answers.pacer.Begin()
	err := uapi.WriteStatus(answer, &status)
	status.Erase()
	return err
}
