package dns

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"time"
)

// maxStrangers is how many datagrams that do not answer the question are ignored.
// Whoever sends so many is guessing: TCP needs more than a guess.
const maxStrangers = 32

// An exchange is one question to one server.
type exchange struct {
	dial   func(ctx context.Context, mark uint32, network, address string) (net.Conn, error)
	server netip.AddrPort
	mark   uint32
	tcp    bool // without UDP before
	edns0  bool
}

// do asks, and returns the response within timeout. Every question has a socket of
// its own, whose port the kernel chooses at random, and a random id.
func (e exchange) do(ctx context.Context, q question, timeout time.Duration) (response, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	packed, err := q.pack()
	if err != nil {
		return response{}, err
	}
	if e.tcp {
		return e.overTCP(ctx, q, packed)
	}
	r, err := e.overUDP(ctx, q, packed)
	if err != nil || !r.truncated {
		return r, err
	}
	whole, err := e.overTCP(ctx, q, packed)
	if err != nil && len(r.addrs) > 0 { // some firewalls let only UDP pass: better some addresses than none
		r.truncated = false
		return r, nil
	}
	return whole, err
}

func (e exchange) open(ctx context.Context, network string) (net.Conn, func(), error) {
	conn, err := e.dial(ctx, e.mark, network, e.server.String())
	if err != nil {
		return nil, nil, err
	}
	// A cancelled context ends reads and writes, as its deadline does.
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
	return conn, func() { stop(); conn.Close() }, nil
}

func (e exchange) overUDP(ctx context.Context, q question, packed []byte) (response, error) {
	// The socket is connected: the kernel drops what comes from elsewhere, and tells
	// when the server refuses.
	conn, closes, err := e.open(ctx, "udp")
	if err != nil {
		return response{}, err
	}
	defer closes()
	if _, err := conn.Write(packed[2:]); err != nil {
		return response{}, err
	}
	b := make([]byte, max(plainSize, ednsSize)+1)
	for range maxStrangers {
		n, err := conn.Read(b)
		if err != nil {
			return response{}, err
		}
		r, err := parseResponse(q, b[:n])
		if errors.Is(err, errNotOurs) {
			continue
		}
		return r, err
	}
	return response{truncated: true}, nil
}

func (e exchange) overTCP(ctx context.Context, q question, packed []byte) (response, error) {
	conn, closes, err := e.open(ctx, "tcp")
	if err != nil {
		return response{}, err
	}
	defer closes()
	if _, err := conn.Write(packed); err != nil {
		return response{}, err
	}
	var length [2]byte
	if _, err := io.ReadFull(conn, length[:]); err != nil {
		return response{}, err
	}
	b := make([]byte, binary.BigEndian.Uint16(length[:]))
	if _, err := io.ReadFull(conn, b); err != nil {
		return response{}, err
	}
	r, err := parseResponse(q, b)
	r.truncated = false
	return r, err
}
