package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

const (
	perPeer = 8 // flows of each family to each peer
	burst   = 4 // packets that a flow sends at once
	window  = 8 // packets of a flow in flight: so few that no queue overflows, however slow the machine is
	pause   = 20 * time.Millisecond
	stalled = 500 * time.Millisecond // after which a flow without answers sends again
	settle  = 3 * time.Second        // for packets that are in flight at the end
	stream  = 4 << 20                // bytes of a stream in each direction
)

// A flow is one side of a pair of sockets that send numbered datagrams to each other.
type flow struct {
	conn            *net.UDPConn
	received, acked atomic.Uint32 // the next number of the other side, and of this one as the other has it
	sent            uint32
	last            time.Time
}

// traffic runs one side of all flows and streams.
func (j job) traffic() (func() (report, error), error) {
	var flows []*flow
	for k := range spokes {
		for _, inner := range []func(k, side int) netip.Addr{inner4, inner6} {
			for i := range perPeer {
				at := func(side byte) *net.UDPAddr {
					return net.UDPAddrFromAddrPort(netip.AddrPortFrom(inner(k, int(side)), uint16(5000+i)))
				}
				c, err := net.DialUDP("udp", at(j.Side), at(3-j.Side))
				if err != nil {
					return nil, err
				}
				if err := growBuffer(c); err != nil {
					return nil, err
				}
				flows = append(flows, &flow{conn: c})
			}
		}
	}
	var r report
	var mu sync.Mutex // of r
	var all sync.WaitGroup
	for _, f := range flows {
		all.Go(func() {
			one := j.listen(f)
			mu.Lock()
			defer mu.Unlock()
			r.Flows++
			r.Received, r.Missing, r.Reordered = r.Received+one.Received, r.Missing+one.Missing, r.Reordered+one.Reordered
		})
	}
	all.Go(func() {
		sent := j.send(flows)
		mu.Lock()
		defer mu.Unlock()
		r.Sent = sent
	})
	for k := range spokes {
		all.Go(func() {
			n, err := j.stream(k)
			mu.Lock()
			defer mu.Unlock()
			if r.Stream += n; err != nil {
				r.Fault = fmt.Sprintf("stream %d: %v", k, err)
			}
		})
	}
	return func() (report, error) {
		all.Wait()
		return r, nil
	}, nil
}

// growBuffer gives a socket a receive buffer for all that a flow may send.
func growBuffer(c *net.UDPConn) error {
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	var set error
	if err := raw.Control(func(fd uintptr) {
		set = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 4<<20)
	}); err != nil {
		return err
	}
	return set
}

// send makes all flows send their datagrams, in small bursts of several lengths.
func (j job) send(flows []*flow) (sent int) {
	for next := j.At; time.Since(j.At) < j.For; next = next.Add(pause) {
		time.Sleep(time.Until(next))
		for i, f := range flows {
			if f.sent-f.acked.Load() > window-burst && time.Since(f.last) < stalled {
				continue
			}
			f.last = time.Now()
			for range burst {
				buf := make([]byte, 8+f.sent*12%200+uint32(i%3)*100)
				binary.BigEndian.PutUint32(buf, f.sent)
				binary.BigEndian.PutUint32(buf[4:], f.received.Load())
				f.conn.Write(buf) // the receiver finds out from the numbers what is lost
				f.sent++
				sent++
			}
		}
	}
	return sent
}

// listen receives the datagrams of a flow until no more can arrive.
func (j job) listen(f *flow) (r report) {
	buf := make([]byte, 2000)
	next := uint32(0)
	f.conn.SetReadDeadline(j.At.Add(j.For + settle))
	for {
		n, err := f.conn.Read(buf)
		switch {
		case err != nil && time.Since(j.At) < j.For+settle: // an ICMP error
			continue
		case err != nil:
			return r
		case n < 8:
			continue
		}
		number := binary.BigEndian.Uint32(buf)
		r.Received++
		if number < next {
			r.Reordered++
			r.Missing--
			continue
		}
		r.Missing += int(number - next)
		next = number + 1
		f.received.Store(next)
		f.acked.Store(max(f.acked.Load(), binary.BigEndian.Uint32(buf[4:])))
	}
}

// stream runs one side of a connection through the k-th tunnel. Its inner family is not
// the outer one of the tunnel.
func (j job) stream(k int) (received int, err error) {
	inner := inner4
	if k%2 == 0 {
		inner = inner6
	}
	at := netip.AddrPortFrom(inner(k, 2), 6000).String()
	var c net.Conn
	if j.Side == 2 {
		l, err := net.Listen("tcp", at)
		if err != nil {
			return 0, err
		}
		defer l.Close()
		l.(*net.TCPListener).SetDeadline(j.At.Add(j.For))
		if c, err = l.Accept(); err != nil {
			return 0, err
		}
	} else {
		time.Sleep(time.Until(j.At))
		if c, err = net.DialTimeout("tcp", at, j.For); err != nil {
			return 0, err
		}
	}
	defer c.Close()
	c.SetDeadline(j.At.Add(j.For + 30*time.Second))
	var writeErr error
	var writing sync.WaitGroup
	writing.Go(func() {
		_, writeErr = c.Write(pattern(byte(k) + j.Side))
		if writeErr == nil {
			writeErr = c.(*net.TCPConn).CloseWrite()
		}
	})
	got, err := io.ReadAll(c)
	writing.Wait()
	switch {
	case err != nil:
		return len(got), err
	case writeErr != nil:
		return len(got), writeErr
	case !bytes.Equal(got, pattern(byte(k)+3-j.Side)):
		return len(got), fmt.Errorf("received %d bytes that differ from those that were sent", len(got))
	}
	return len(got), nil
}

// pattern returns the bytes of a stream.
func pattern(seed byte) []byte {
	b := make([]byte, stream)
	for i := range b {
		b[i] = byte(i) ^ byte(i>>8)*7 ^ byte(i>>16) ^ seed
	}
	return b
}
