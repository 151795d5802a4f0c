package load

import (
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"wgd/internal/cookie"
	"wgd/internal/noise"
	"wgd/internal/wire"
	"wgd/key"
)

// initiators simulates peers that initiate. It makes all messages before it
// reports that it is ready. On request it sends them, each as soon as few enough
// are unanswered, and reports how many were answered in what time.
func initiators(j Job) (func() (Reading, error), error) {
	v, err := newVolley(j)
	if err != nil {
		return nil, err
	}
	return func() (Reading, error) {
		began := Now()
		err := v.send()
		r := v.soFar()
		r.Nanoseconds = v.last - began
		return r, err
	}, nil
}

// storm does the same in the background, for a program that measures something
// else meanwhile. The first request starts it.
func storm(j Job) (func() (Reading, error), error) {
	v, err := newVolley(j)
	if err != nil {
		return nil, err
	}
	var begin sync.Once
	failed := make(chan error, 1)
	return func() (Reading, error) {
		begin.Do(func() {
			go func() {
				if err := v.send(); err != nil {
					failed <- err
				}
			}()
		})
		select {
		case err := <-failed:
			return Reading{}, err
		default:
			return v.soFar(), nil
		}
	}, nil
}

// A volley is a set of initiations to one daemon.
type volley struct {
	conn           net.Conn
	messages       [][]byte // each has its position as the sender index
	answered, lost atomic.Uint64
	last           int64 // time of the last answer
}

func newVolley(j Job) (*volley, error) {
	messages, err := initiations(j.Peers, j.Count)
	if err != nil {
		return nil, err
	}
	conn, err := net.Dial("udp", j.Remote)
	if err != nil {
		return nil, err
	}
	return &volley{conn: conn, messages: messages}, nil
}

func (v *volley) soFar() Reading {
	return Reading{Packets: v.answered.Load(), Lost: v.lost.Load(), Nanoseconds: Now()}
}

// initiations returns count initiations to the daemon, from each peer in turn.
func initiations(c *Peers, count int) ([][]byte, error) {
	peers, err := c.members()
	if err != nil {
		return nil, err
	}
	daemon, err := key.ParsePublicHex(c.Daemon)
	if err != nil {
		return nil, err
	}
	stamps := make([]wire.TAI64N, count/len(peers)+1)
	stamps[0] = wire.StampAt(time.Now())
	for i := range stamps[1:] {
		stamps[i+1] = stamps[i].Next()
	}
	messages, errs := make([][]byte, count), make([]error, count)
	inParallel(count, func(i int) {
		p := peers[i%len(peers)]
		var ephemeral [32]byte
		rand.Read(ephemeral[:])
		msg, _, err := noise.CreateInitiation(nil, p.static, p.daemon, &ephemeral, uint32(i), stamps[i/len(peers)])
		if err != nil {
			errs[i] = err
			return
		}
		maker := cookie.NewMaker(daemon)
		messages[i] = msg.AppendTo(nil)
		maker.AddMACs(1, messages[i])
	})
	return messages, errors.Join(errs...)
}

// send sends the messages and counts the responses. It returns an error if fewer
// than nine in ten are answered.
func (v *volley) send() error {
	buf := make([]byte, 2048)
	next, waiting, cookies, answered := 0, 0, 0, make([]bool, len(v.messages))
	for next < len(v.messages) || waiting > 0 {
		for ; waiting < inFlight && next < len(v.messages); next++ {
			if _, err := v.conn.Write(v.messages[next]); err != nil {
				return err
			}
			waiting++
		}
		v.conn.SetReadDeadline(time.Now().Add(patience))
		n, err := v.conn.Read(buf)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			v.lost.Add(uint64(waiting))
			waiting = 0
			continue
		}
		if err != nil {
			return err
		}
		if kind, _ := wire.TypeOf(buf[:n]); kind == wire.TypeCookieReply {
			cookies++
		}
		msg, ok := wire.DecodeResponse(buf[:n])
		if !ok || int(msg.Receiver) >= len(v.messages) || answered[msg.Receiver] {
			continue
		}
		answered[msg.Receiver] = true
		waiting = max(0, waiting-1)
		v.last = Now()
		v.answered.Add(1)
	}
	if n := v.answered.Load(); 10*int(n) < 9*len(v.messages) {
		return fmt.Errorf("%d of %d initiations were answered, and %d with a cookie", n, len(v.messages), cookies)
	}
	return nil
}
