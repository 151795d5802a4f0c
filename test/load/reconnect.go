package load

import (
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"wgd/internal/aead"
	"wgd/internal/cookie"
	"wgd/internal/noise"
	"wgd/internal/wire"
	"wgd/key"
)

const (
	// retransmission is the time after which a peer without an answer initiates
	// again (§6.4). The random part of up to a third of a second is left out, so
	// that all peers initiate at once again.
	retransmission = 5 * time.Second
	// cookieTime is the time for cookies, so that none expires.
	cookieTime = 1
)

// reconnect simulates peers that all lose their sessions at the moment of the
// first request. All initiate, keep the cookie if they receive one, and initiate
// again after the protocol's timeout, until they have a session and have used it.
// Each request returns at once how many of them have.
func reconnect(j Job) (func() (Reading, error), error) {
	r, err := newReconnection(j)
	if err != nil {
		return nil, err
	}
	var begin sync.Once
	failed := make(chan error, 1)
	return func() (Reading, error) {
		begin.Do(func() { go func() { failed <- r.run() }() })
		select {
		case err := <-failed:
			return Reading{}, err
		default:
			return Reading{Packets: r.done.Load(), Lost: r.again.Load(), Nanoseconds: Now()}, nil
		}
	}, nil
}

// reconnection is the state of all peers of reconnect.
type reconnection struct {
	peers       []reconnectingPeer
	begun       int // how many of the peers have initiated
	daemon      netip.AddrPort
	conn        *net.UDPConn
	done, again atomic.Uint64 // peers that have used a session; initiations after the first ones
	// keep is called with each session, if it is not nil. index is the daemon's.
	keep func(peer int, index uint32, keys *noise.Keys)
}

// newReconnection prepares the first initiations of all peers of a job, and the socket
// that they share.
func newReconnection(j Job) (*reconnection, error) {
	members, err := j.Peers.members()
	if err != nil {
		return nil, err
	}
	r := &reconnection{peers: make([]reconnectingPeer, len(members))}
	if r.daemon, err = netip.ParseAddrPort(j.Remote); err != nil {
		return nil, err
	}
	errs := make([]error, len(members))
	inParallel(len(members), func(i int) {
		r.peers[i] = newReconnectingPeer(members[i])
		errs[i] = r.peers[i].initiate(i)
	})
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	if r.conn, err = net.ListenUDP("udp4", &net.UDPAddr{Port: peerPort}); err != nil {
		return nil, err
	}
	return r, requestDestinations(r.conn)
}

// A reconnectingPeer is one of these peers.
type reconnectingPeer struct {
	member
	macs    *cookie.Maker
	cookie  bool             // it has one, which lives longer than any storm
	pending *noise.Handshake // nil: it has a session
	msg     []byte           // the initiation
	due     time.Time        // when to initiate again
}

func newReconnectingPeer(m member) reconnectingPeer {
	return reconnectingPeer{member: m, macs: cookie.NewMaker(m.daemon.Public())}
}

// initiate makes a peer's next initiation.
func (p *reconnectingPeer) initiate(index int) error {
	var ephemeral [32]byte
	rand.Read(ephemeral[:])
	msg, pending, err := noise.CreateInitiation(nil, p.static, p.daemon, &ephemeral, uint32(index), wire.StampAt(time.Now()))
	if err != nil {
		return err
	}
	p.pending, p.msg = pending, msg.AppendTo(nil)
	p.macs.AddMACs(cookieTime, p.msg)
	return nil
}

// run returns only with an error.
func (r *reconnection) run() error {
	if err := r.begin(len(r.peers)); err != nil {
		return err
	}
	return r.serve(func() bool { return false })
}

// begin makes the first peers up to the given number initiate, if they have not yet.
func (r *reconnection) begin(peers int) error {
	for ; r.begun < peers; r.begun++ {
		if err := r.send(r.begun); err != nil {
			return err
		}
	}
	return nil
}

// serve handles what the peers receive, and their timeouts, until there is enough.
func (r *reconnection) serve(enough func() bool) error {
	const step = 20 * time.Millisecond // precision of the timeouts
	buf, oob := make([]byte, 2048), make([]byte, 128)
	for looked := time.Now(); !enough(); {
		r.conn.SetReadDeadline(time.Now().Add(step))
		n, oobn, _, _, err := r.conn.ReadMsgUDPAddrPort(buf, oob)
		if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			return err
		}
		if peer, ok := peerOf(oob[:oobn]); err == nil && ok && peer < len(r.peers) {
			if err := r.receive(peer, buf[:n]); err != nil {
				return fmt.Errorf("peer %d: %w", peer, err)
			}
		}
		if time.Since(looked) >= step {
			looked = time.Now()
			if err := r.retransmit(looked); err != nil {
				return err
			}
		}
	}
	return nil
}

// retransmit makes the peers initiate again that are due.
func (r *reconnection) retransmit(now time.Time) error {
	for i := range r.begun {
		if p := &r.peers[i]; p.pending != nil && now.After(p.due) {
			r.again.Add(1)
			if err := errors.Join(p.initiate(i), r.send(i)); err != nil {
				return err
			}
		}
	}
	return nil
}

// send sends a peer's initiation.
func (r *reconnection) send(peer int) error {
	p := &r.peers[peer]
	p.due = time.Now().Add(retransmission)
	return r.write(peer, p.msg)
}

// write sends a datagram from the address of a peer.
func (r *reconnection) write(peer int, msg []byte) error {
	from := netip.MustParseAddrPort(Endpoint(peer)).Addr().As4()
	_, _, err := r.conn.WriteMsgUDPAddrPort(msg, unix.PktInfo4(&unix.Inet4Pktinfo{Spec_dst: from}), r.daemon)
	return err
}

// receive handles a datagram for a peer: the peer keeps a cookie, and uses the
// session that a response begins.
func (r *reconnection) receive(peer int, msg []byte) error {
	p := &r.peers[peer]
	switch kind, _ := wire.TypeOf(msg); kind {
	case wire.TypeCookieReply:
		if !p.macs.Consume(cookieTime, msg) {
			return nil // not for the last initiation
		}
		if p.cookie {
			return errors.New("an initiation that has a cookie is answered by a cookie")
		}
		p.cookie = true
	case wire.TypeResponse:
		response, ok := wire.DecodeResponse(msg)
		if !ok || p.pending == nil {
			return nil
		}
		var keys noise.Keys
		if err := p.pending.ConsumeResponse(nil, &keys, p.static, key.Preshared{}, &response); err != nil {
			return nil // to an initiation before the last one
		}
		p.pending = nil
		r.done.Add(1)
		if r.keep != nil {
			r.keep(peer, response.Sender, &keys)
		}
		return r.write(peer, keepalive(response.Sender, &keys.Send))
	}
	return nil
}

// keepalive returns the first message of a session, which is empty.
func keepalive(index uint32, send *[32]byte) []byte {
	var k aead.Key
	k.Set(send)
	msg := make([]byte, aead.MinSize)
	wire.PutDataHeader(msg, index, 0)
	k.Seal(msg, []aead.Packet{{Len: aead.MinSize}}, 0)
	return msg
}
