package load

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"wgd/internal/cookie"
	"wgd/internal/noise"
	"wgd/internal/wire"
	"wgd/key"
)

// responders simulates peers that answer initiations. Each has an address, and
// all share one socket. On request it waits until every peer has a session that
// the daemon has used, or until nothing happens any more. It returns how many
// have one, and when the last one got it.
func responders(j Job) (func() (Reading, error), error) {
	peers, err := j.Peers.members()
	if err != nil {
		return nil, err
	}
	a := &responderState{peers: peers, used: make([]bool, len(peers)), asked: make(chan question, len(peers)),
		slots: make(chan struct{}, inFlight), failed: make(chan error, 1)}
	if a.daemon, err = key.ParsePublicHex(j.Peers.Daemon); err != nil {
		return nil, err
	}
	if err := a.computeSecrets(); err != nil {
		return nil, err
	}
	if a.conn, err = net.ListenUDP("udp4", &net.UDPAddr{Port: peerPort}); err != nil {
		return nil, err
	}
	if err := requestDestinations(a.conn); err != nil {
		return nil, err
	}
	go a.listen()
	for range runtime.GOMAXPROCS(0) {
		go a.answer()
	}
	return a.wait, nil
}

// responderState is the state of all peers of responders.
type responderState struct {
	peers  []member
	daemon key.Public
	conn   *net.UDPConn
	asked  chan question
	slots  chan struct{} // one for each response that has not been used
	failed chan error

	mu    sync.Mutex
	used  []bool
	count int
	last  int64 // when a session was last used for the first time
}

// A question is an initiation to a peer.
type question struct {
	peer        int
	from        netip.AddrPort
	destination []byte // the control message with its destination address
	msg         wire.Initiation
}

// computeSecrets computes the static Diffie-Hellman secret of a peer and the daemon in
// advance. Otherwise the first handshake would, and its time would include that.
func (a *responderState) computeSecrets() error {
	errs := make([]error, len(a.peers))
	inParallel(len(a.peers), func(i int) {
		var ephemeral [32]byte
		rand.Read(ephemeral[:])
		p := a.peers[i]
		_, _, errs[i] = noise.CreateInitiation(nil, p.static, p.daemon, &ephemeral, 1, wire.StampAt(time.Now()))
	})
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// requestDestinations makes the kernel add its destination to each datagram.
func requestDestinations(conn *net.UDPConn) error {
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	var fault error
	err = raw.Control(func(fd uintptr) {
		unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 16<<20)
		fault = unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_PKTINFO, 1)
	})
	if err != nil {
		return err
	}
	return fault
}

// listen passes initiations on, and records which sessions are used.
func (a *responderState) listen() {
	buf, oob := make([]byte, 2048), make([]byte, 128)
	for {
		n, oobn, _, from, err := a.conn.ReadMsgUDPAddrPort(buf, oob)
		if err != nil {
			a.fail(err)
			return
		}
		msg := buf[:n]
		switch kind, _ := wire.TypeOf(msg); kind {
		case wire.TypeData:
			a.use(int(binary.LittleEndian.Uint32(msg[4:])))
		case wire.TypeInitiation:
			peer, ok := peerOf(oob[:oobn])
			if m, valid := wire.DecodeInitiation(msg); ok && valid && peer < len(a.peers) {
				select {
				case a.asked <- question{peer, from, append([]byte(nil), oob[:oobn]...), m}:
				default: // it will be retransmitted
				}
			}
		}
	}
}

// peerOf returns the peer whose address is in a control message.
func peerOf(oob []byte) (int, bool) {
	list, err := unix.ParseSocketControlMessage(oob)
	if err != nil || len(list) == 0 || list[0].Header.Type != unix.IP_PKTINFO || len(list[0].Data) < unix.SizeofInet4Pktinfo {
		return 0, false
	}
	to := list[0].Data[8:12] // after the interface and the local address
	return int(to[2])<<8 | int(to[3]), true
}

// use records that the daemon sends on the session with an index, which is the
// peer's number.
func (a *responderState) use(index int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if index >= len(a.used) || a.used[index] {
		return
	}
	a.used[index] = true
	a.count++
	a.last = Now()
	select {
	case <-a.slots:
	default:
	}
}

// answer answers initiations while few enough responses are unused.
func (a *responderState) answer() {
	for q := range a.asked {
		select {
		case a.slots <- struct{}{}:
		case <-time.After(patience):
		}
		msg, err := a.respond(q)
		if err == nil {
			_, _, err = a.conn.WriteMsgUDPAddrPort(msg, q.destination, q.from)
		}
		if err != nil {
			a.fail(fmt.Errorf("peer %d: %w", q.peer, err))
		}
	}
}

// respond returns the response to an initiation.
func (a *responderState) respond(q question) ([]byte, error) {
	p := a.peers[q.peer]
	_, state, err := noise.ConsumeInitiationStatic(nil, p.static, &q.msg)
	if err != nil {
		return nil, err
	}
	_, hs, err := state.Finish(nil, p.static, p.daemon)
	if err != nil {
		return nil, err
	}
	var ephemeral [32]byte
	rand.Read(ephemeral[:])
	response, err := hs.CreateResponse(nil, new(noise.Keys), &ephemeral, key.Preshared{}, uint32(q.peer))
	if err != nil {
		return nil, err
	}
	maker := cookie.NewMaker(a.daemon)
	msg := response.AppendTo(nil)
	maker.AddMACs(1, msg)
	return msg, nil
}

func (a *responderState) fail(err error) {
	select {
	case a.failed <- err:
	default:
	}
}

// wait waits for the end and returns what was done until then.
func (a *responderState) wait() (Reading, error) {
	const silence = 6 * time.Second // a lost message is sent again after 5
	for began := Now(); ; {
		select {
		case err := <-a.failed:
			return Reading{}, err
		case <-time.After(5 * time.Millisecond):
		}
		a.mu.Lock()
		r := Reading{Packets: uint64(a.count), Nanoseconds: a.last}
		a.mu.Unlock()
		if int(r.Packets) == len(a.peers) {
			return r, nil
		}
		if Now()-max(began, r.Nanoseconds) > int64(silence) {
			if 10*int(r.Packets) < 9*len(a.peers) {
				return r, fmt.Errorf("%d of %d peers have a session", r.Packets, len(a.peers))
			}
			return r, nil
		}
	}
}
