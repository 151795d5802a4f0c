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
	perPeer = 8 // flows of each family
	burst   = 4 // packets of a flow at once
	window  = 8 // packets of a flow on their way: however slow all is, no queue overflows
	pause   = 20 * time.Millisecond
	patient = 500 * time.Millisecond // with a flow of which nothing is heard
	settle  = 3 * time.Second        // for what is on its way in the end
	stream  = 4 << 20                // bytes each way in each
)

// flow is one side of a flow: two sockets that send numbers to each other, and
// which of the other's is the next.
type flow struct {
	conn        *net.UDPConn
	came, acked atomic.Uint32
	sent        uint32
	last        time.Time
}

// traffic is one side of all flows.
func (j job) traffic() (func() (report, error), error) {
	var flows []*flow
	for k := range spokes {
		for _, inside := range []func(k, side int) netip.Addr{inside4, inside6} {
			for i := range perPeer {
				at := func(side byte) *net.UDPAddr {
					return net.UDPAddrFromAddrPort(netip.AddrPortFrom(inside(k, int(side)), uint16(5000+i)))
				}
				c, err := net.DialUDP("udp", at(j.Side), at(3-j.Side))
				if err != nil {
					return nil, err
				}
				if err := widen(c); err != nil {
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
			r.Came, r.Missing, r.Swapped = r.Came+one.Came, r.Missing+one.Missing, r.Swapped+one.Swapped
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
				r.Wrong = fmt.Sprintf("stream %d: %v", k, err)
			}
		})
	}
	return func() (report, error) {
		all.Wait()
		return r, nil
	}, nil
}

// widen makes room for all that a flow may send.
func widen(c *net.UDPConn) error {
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

// send has all flows send their numbers, in small bursts of several lengths.
func (j job) send(flows []*flow) (sent int) {
	for next := j.At; time.Since(j.At) < j.For; next = next.Add(pause) {
		time.Sleep(time.Until(next))
		for i, f := range flows {
			if f.sent-f.acked.Load() > window-burst && time.Since(f.last) < patient {
				continue
			}
			f.last = time.Now()
			for range burst {
				buf := make([]byte, 8+f.sent*12%200+uint32(i%3)*100)
				binary.BigEndian.PutUint32(buf, f.sent)
				binary.BigEndian.PutUint32(buf[4:], f.came.Load())
				f.conn.Write(buf) // the numbers show what is lost
				f.sent++
				sent++
			}
		}
	}
	return sent
}

// listen takes one flow's numbers until nothing more can come.
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
		r.Came++
		if number < next {
			r.Swapped++
			r.Missing--
			continue
		}
		r.Missing += int(number - next)
		next = number + 1
		f.came.Store(next)
		f.acked.Store(max(f.acked.Load(), binary.BigEndian.Uint32(buf[4:])))
	}
}

// stream is one connection through the k-th tunnel, over the family that its
// datagrams outside have not.
func (j job) stream(k int) (came int, err error) {
	inside := inside4
	if k%2 == 0 {
		inside = inside6
	}
	at := netip.AddrPortFrom(inside(k, 2), 6000).String()
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
	var said error
	var saying sync.WaitGroup
	saying.Go(func() {
		_, said = c.Write(pattern(byte(k) + j.Side))
		if said == nil {
			said = c.(*net.TCPConn).CloseWrite()
		}
	})
	got, err := io.ReadAll(c)
	saying.Wait()
	switch {
	case err != nil:
		return len(got), err
	case said != nil:
		return len(got), said
	case !bytes.Equal(got, pattern(byte(k)+3-j.Side)):
		return len(got), fmt.Errorf("%d bytes, not those that were sent", len(got))
	}
	return len(got), nil
}

// pattern is what a stream carries.
func pattern(seed byte) []byte {
	b := make([]byte, stream)
	for i := range b {
		b[i] = byte(i) ^ byte(i>>8)*7 ^ byte(i>>16) ^ seed
	}
	return b
}
