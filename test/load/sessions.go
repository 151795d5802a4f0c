package load

import (
	"fmt"
	"net/netip"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"wgd/internal/aead"
	"wgd/internal/noise"
)

// A peerSession is the session of a peer with the daemon. The peer has used it once.
type peerSession struct {
	index         uint32 // the daemon's; the peer's is its number
	send, receive aead.Key
}

// Sessions are those of all peers of a job, over one socket.
type sessions struct {
	daemon netip.AddrPort
	file   *os.File // the socket, in blocking mode
	list   []peerSession
}

// newSessions makes the handshakes of all peers of a job, few enough at a time that the
// daemon requires no cookies.
func newSessions(j Job) (*sessions, error) {
	const limit = 30 * time.Second
	r, err := newReconnection(j)
	if err != nil {
		return nil, err
	}
	s := &sessions{daemon: r.daemon, list: make([]peerSession, len(r.peers))}
	r.keep = func(peer int, index uint32, keys *noise.Keys) {
		s.list[peer].index = index
		s.list[peer].send.Set(&keys.Send)
		s.list[peer].receive.Set(&keys.Recv)
	}
	begun := time.Now()
	for n := 0; n < len(r.peers); {
		n = min(n+inFlight, len(r.peers))
		if err := r.begin(n); err != nil {
			return nil, err
		}
		if err := r.serve(func() bool { return int(r.done.Load()) == n || time.Since(begun) > limit }); err != nil {
			return nil, err
		}
	}
	if done := int(r.done.Load()); done < len(r.peers) {
		return nil, fmt.Errorf("%d of %d peers have a session with the daemon after %v", done, len(r.peers), limit)
	}
	s.file, err = r.conn.File()
	return s, err
}

// filter attaches a program to the socket that says which datagrams it receives.
func filter(fd int, program []unix.SockFilter) error {
	return unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER,
		&unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]})
}

// dropAll is the filter of a socket that only sends.
var dropAll = []unix.SockFilter{{Code: unix.BPF_RET | unix.BPF_K, K: 0}}
