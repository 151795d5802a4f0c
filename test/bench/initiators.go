package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"wgd/internal/cookie"
	"wgd/internal/noise"
	"wgd/internal/wire"
	"wgd/key"
)

// initiators plays peers that initiate. All messages are made before it is
// ready; asked, it sends them, each as soon as there are few enough without an
// answer, and says how many were answered in what time.
func initiators(j job) (func() (reading, error), error) {
	messages, err := initiations(j.Crowd, j.Count)
	if err != nil {
		return nil, err
	}
	conn, err := net.Dial("udp", j.Remote)
	if err != nil {
		return nil, err
	}
	return func() (reading, error) { return volley(conn, messages) }, nil
}

// initiations makes so many messages to the daemon, from each peer in turn.
func initiations(c *crowd, count int) ([][]byte, error) {
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
		msg, _, err := noise.CreateInitiation(p.static, p.daemon, &ephemeral, uint32(i), stamps[i/len(peers)])
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

// volley sends the messages and counts the responses.
func volley(conn net.Conn, messages [][]byte) (r reading, err error) {
	buf := make([]byte, 2048)
	began := now()
	next, flying, cookies, answered := 0, 0, 0, make([]bool, len(messages))
	for next < len(messages) || flying > 0 {
		for ; flying < inFlight && next < len(messages); next++ {
			if _, err := conn.Write(messages[next]); err != nil {
				return r, err
			}
			flying++
		}
		conn.SetReadDeadline(time.Now().Add(patience))
		n, err := conn.Read(buf)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			flying = 0 // lost
			continue
		}
		if err != nil {
			return r, err
		}
		if kind, _ := wire.TypeOf(buf[:n]); kind == wire.TypeCookieReply {
			cookies++
		}
		msg, ok := wire.DecodeResponse(buf[:n])
		if !ok || int(msg.Receiver) >= len(messages) || answered[msg.Receiver] {
			continue
		}
		answered[msg.Receiver] = true
		flying = max(0, flying-1)
		r.Packets++
		r.Nanoseconds = now() - began
	}
	if 10*int(r.Packets) < 9*len(messages) {
		return r, fmt.Errorf("%d of %d initiations were answered, and %d with a cookie", r.Packets, len(messages), cookies)
	}
	return r, nil
}
