package load

import (
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"wgd/internal/noise"
	"wgd/internal/wire"
	"wgd/key"
)

// firstPause is the time between two handshakes of first.
const firstPause = 5 * time.Millisecond

// first makes a handshake with each peer in turn, one at a time, each time it is asked, and
// returns how long each took from the initiation to the response. One without a response is lost,
// and counts as taking the time after which a peer initiates again.
func first(j Job) (func() (Reading, error), error) {
	peers, err := newFirst(j)
	if err != nil {
		return nil, err
	}
	conn, err := net.Dial("udp", j.Remote)
	if err != nil {
		return nil, err
	}
	return func() (r Reading, err error) {
		for i := range peers {
			took, err := peers[i].once(conn, uint32(i))
			if errors.Is(err, os.ErrDeadlineExceeded) {
				took, err = retransmission, nil
				r.Lost++
			}
			if err != nil {
				return r, fmt.Errorf("peer %d: %w", i, err)
			}
			r.Times = append(r.Times, took.Nanoseconds())
			time.Sleep(firstPause)
		}
		return r, nil
	}, nil
}

func newFirst(j Job) ([]reconnectingPeer, error) {
	members, err := j.Peers.members()
	if err != nil {
		return nil, err
	}
	peers := make([]reconnectingPeer, len(members))
	for i, m := range members {
		peers[i] = newReconnectingPeer(m)
	}
	return peers, nil
}

// once makes one handshake, and uses its session. Without a response in time, the error is
// os.ErrDeadlineExceeded.
func (p *reconnectingPeer) once(conn net.Conn, index uint32) (took time.Duration, err error) {
	if err := p.initiate(int(index)); err != nil {
		return 0, err
	}
	began := time.Now()
	if _, err := conn.Write(p.msg); err != nil {
		return 0, err
	}
	conn.SetReadDeadline(began.Add(retransmission))
	buf := make([]byte, 2048)
	for {
		n, err := conn.Read(buf)
		if err != nil {
			return 0, err
		}
		took = time.Since(began)
		response, ok := wire.DecodeResponse(buf[:n])
		if !ok || response.Receiver != index {
			continue
		}
		var keys noise.Keys
		if err := p.pending.ConsumeResponse(nil, &keys, p.static, key.Preshared{}, &response); err != nil {
			continue // to an initiation before the last one
		}
		_, err = conn.Write(keepalive(response.Sender, &keys.Send))
		return took, err
	}
}
