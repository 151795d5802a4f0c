package lab

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// A Stream is a TCP connection to a host's Sink.
type Stream struct {
	Remote  netip.AddrPort
	Bytes   int64         // how many to send; 0: as many as possible in Time
	Time    time.Duration // how long to send; 0: until Bytes are sent
	Wait    time.Duration // limit for all of it; 0: 60 s
	Connect time.Duration // limit for connecting; 0: as Wait
	Via     netip.Addr    // for a loose source route of IPv4; zero: none
}

// A StreamResult is what the Sink received.
type StreamResult struct {
	Bytes int64
	Wrong int64 // offset of the first wrong byte; -1: there is none
	Took  time.Duration
}

// Bits returns the rate in bits per second.
func (s StreamResult) Bits() float64 { return float64(s.Bytes) * 8 / s.Took.Seconds() }

// Sink makes the host accept TCP streams on a port, over IPv4 and IPv6, and check
// their bytes.
func (h *Host) Sink(port int) {
	h.t.Helper()
	call[int, Nothing](h, "Sink", port)
}

// Stream sends a stream, and fails the test unless all of it arrives unchanged.
func (h *Host) Stream(s Stream) StreamResult {
	h.t.Helper()
	got, err := h.TryStream(s)
	if err != nil {
		h.t.Fatalf("host %s, TCP to %v: %v", h.Name, s.Remote, err)
	}
	return got
}

// TryStream is like Stream, but returns the error to the test.
func (h *Host) TryStream(s Stream) (StreamResult, error) {
	got, err := ask[Stream, StreamResult](h, "Stream", s)
	if err == nil && got.Wrong >= 0 {
		err = fmt.Errorf("byte %d arrived changed", got.Wrong)
	}
	if err == nil && s.Bytes > 0 && got.Bytes != s.Bytes {
		err = fmt.Errorf("%d bytes of %d arrived", got.Bytes, s.Bytes)
	}
	return got, err
}

func (g *Agent) Sink(port int, _ *Nothing) error {
	l, err := net.ListenTCP("tcp", &net.TCPAddr{Port: port})
	if err != nil {
		return err
	}
	g.keep(l)
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go readStream(conn)
		}
	}()
	return nil
}

// streamPattern is what streams send, over and over. Its length is no multiple of
// that of a packet or batch, so a displaced piece is detected.
var streamPattern = pattern(1<<20 - 3)

// readStream reads a stream to its end. It answers with the number of bytes, and the
// offset of the first wrong one.
func readStream(conn net.Conn) {
	defer conn.Close()
	buf := make([]byte, 1<<18)
	total, wrong := int64(0), int64(-1)
	for {
		n, err := conn.Read(buf)
		if wrong < 0 {
			wrong = firstWrong(buf[:n], total)
		}
		total += int64(n)
		if err != nil {
			break
		}
	}
	var answer [16]byte
	binary.BigEndian.PutUint64(answer[:], uint64(total))
	binary.BigEndian.PutUint64(answer[8:], uint64(wrong))
	conn.Write(answer[:])
}

// firstWrong returns the offset of the first byte that differs from the pattern, or
// -1.
func firstWrong(b []byte, at int64) int64 {
	for len(b) > 0 {
		want := streamPattern[at%int64(len(streamPattern)):]
		n := min(len(want), len(b))
		if string(b[:n]) != string(want[:n]) {
			for i := range n {
				if b[i] != want[i] {
					return at + int64(i)
				}
			}
		}
		b, at = b[n:], at+int64(n)
	}
	return -1
}

func (g *Agent) Stream(s Stream, r *StreamResult) error {
	if s.Wait == 0 {
		s.Wait = 60 * time.Second
	}
	if s.Connect == 0 {
		s.Connect = s.Wait
	}
	start := time.Now()
	dialer := net.Dialer{Timeout: s.Connect}
	if s.Via.IsValid() {
		dialer.Control = func(_, _ string, c syscall.RawConn) error { return sourceRoute(c, s.Via) }
	}
	conn, err := dialer.Dial("tcp", s.Remote.String())
	if err != nil {
		return err
	}
	defer conn.Close()
	conn.SetDeadline(start.Add(s.Wait))
	began := time.Now()
	if err := writeStream(conn, s, began); err != nil {
		return err
	}
	if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
		return err
	}
	var answer [16]byte
	if _, err := io.ReadFull(conn, answer[:]); err != nil {
		return fmt.Errorf("waiting for the answer of the sink: %w", err)
	}
	r.Took = time.Since(began)
	r.Bytes = int64(binary.BigEndian.Uint64(answer[:]))
	r.Wrong = int64(binary.BigEndian.Uint64(answer[8:]))
	return nil
}

// sourceRoute makes a socket send its packets via another address (RFC 791, LSRR).
func sourceRoute(c syscall.RawConn, via netip.Addr) (err error) {
	const loose, first, endOfList = 131, 4, 0
	option := append([]byte{loose, 7, first}, via.AsSlice()...)
	failed := c.Control(func(fd uintptr) {
		err = unix.SetsockoptString(int(fd), unix.SOL_IP, unix.IP_OPTIONS, string(append(option, endOfList)))
	})
	return errors.Join(failed, err)
}

func writeStream(conn net.Conn, s Stream, began time.Time) error {
	if s.Bytes == 0 && s.Time == 0 {
		return errors.New("neither bytes nor time: the stream would never end")
	}
	for sent := int64(0); ; {
		piece := streamPattern[sent%int64(len(streamPattern)):]
		piece = piece[:min(len(piece), 1<<18)]
		if s.Bytes > 0 {
			piece = piece[:min(int64(len(piece)), s.Bytes-sent)]
		}
		if len(piece) == 0 || s.Time > 0 && time.Since(began) > s.Time {
			return nil
		}
		n, err := conn.Write(piece)
		sent += int64(n)
		if err != nil {
			return fmt.Errorf("after %d bytes: %w", sent, err)
		}
	}
}
