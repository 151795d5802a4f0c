package main

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"strconv"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// chunk is what a stream writes and reads at once: large, as a fast program does.
const chunk = 1 << 20

// tcpSink swallows all connections.
func tcpSink(job) (func() (reading, error), error) {
	l, err := net.ListenTCP("tcp", &net.TCPAddr{Port: workerPort})
	if err != nil {
		return nil, err
	}
	var bytes, reads atomic.Uint64
	swallow := func(conn net.Conn) {
		defer conn.Close()
		buf := make([]byte, chunk)
		for {
			n, err := conn.Read(buf)
			if err != nil {
				return
			}
			bytes.Add(uint64(n))
			reads.Add(1)
		}
	}
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go swallow(conn)
		}
	}()
	return func() (reading, error) { return reading{bytes.Load(), reads.Load(), now()}, nil }, nil
}

// tcpSource pours into all its streams, each at its part of the rate.
func tcpSource(j job) (func() (reading, error), error) {
	var bytes atomic.Uint64
	pour := func(conn net.Conn) {
		buf := make([]byte, chunk)
		if j.Rate > 0 {
			buf = buf[:32<<10]
		}
		began := time.Now()
		for sent := 0; ; {
			n, err := conn.Write(buf)
			if err != nil {
				return
			}
			sent += n
			bytes.Add(uint64(n))
			if j.Rate > 0 {
				due := float64(sent) * 8 / (j.Rate / float64(j.Streams)) * float64(time.Second)
				time.Sleep(time.Duration(due) - time.Since(began))
			}
		}
	}
	for range j.Streams {
		conn, err := net.DialTimeout("tcp", net.JoinHostPort(j.Remote, strconv.Itoa(workerPort)), 10*time.Second)
		if err != nil {
			return nil, err
		}
		steady(conn.(*net.TCPConn))
		go pour(conn)
	}
	return func() (reading, error) { return reading{Bytes: bytes.Load(), Nanoseconds: now()}, nil }, nil
}

// steady makes a stream send whatever its window allows, on every machine: some
// have a congestion control that measures the path and paces itself to that,
// and then it is that which is measured here.
func steady(conn *net.TCPConn) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return
	}
	raw.Control(func(fd uintptr) {
		for _, name := range []string{"cubic", "reno"} { // every kernel has the second
			if unix.SetsockoptString(int(fd), unix.IPPROTO_TCP, unix.TCP_CONGESTION, name) == nil {
				return
			}
		}
	})
}

// burst is how many datagrams pass in one system call.
const burst = 64

// mmsghdr is struct mmsghdr.
type mmsghdr struct {
	hdr unix.Msghdr
	n   uint32
}

func messages(size int) []mmsghdr {
	list := make([]mmsghdr, burst)
	for i := range list {
		buf := make([]byte, size)
		iov := &unix.Iovec{Base: &buf[0]}
		iov.SetLen(size)
		list[i].hdr.Iov = iov
		list[i].hdr.SetIovlen(1)
	}
	return list
}

// udpSink counts datagrams, on a thread that sleeps in the system call.
func udpSink(job) (func() (reading, error), error) {
	fd, err := unix.Socket(unix.AF_INET6, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 8<<20)
	if err := unix.Bind(fd, &unix.SockaddrInet6{Port: workerPort}); err != nil {
		return nil, err
	}
	var bytes, packets atomic.Uint64
	go func() {
		list := messages(2048)
		for {
			n, _, errno := unix.Syscall6(unix.SYS_RECVMMSG, uintptr(fd), uintptr(unsafe.Pointer(&list[0])), burst, unix.MSG_WAITFORONE, 0, 0)
			if errno == unix.EINTR {
				continue
			}
			if errno != 0 {
				return
			}
			sum := 0
			for _, m := range list[:n] {
				sum += int(m.n)
			}
			bytes.Add(uint64(sum))
			packets.Add(uint64(n))
		}
	}()
	return func() (reading, error) { return reading{bytes.Load(), packets.Load(), now()}, nil }, nil
}

// udpSource sends datagrams as fast as one thread can.
func udpSource(j job) (func() (reading, error), error) {
	conn, err := net.Dial("udp", net.JoinHostPort(j.Remote, strconv.Itoa(workerPort)))
	if err != nil {
		return nil, err
	}
	file, err := conn.(*net.UDPConn).File() // in blocking mode
	if err != nil {
		return nil, err
	}
	fd := file.Fd()
	var packets atomic.Uint64
	go func() {
		defer runtime.KeepAlive(file)
		list := messages(j.Size)
		for {
			n, _, errno := unix.Syscall6(unix.SYS_SENDMMSG, fd, uintptr(unsafe.Pointer(&list[0])), burst, 0, 0, 0)
			if errno == 0 {
				packets.Add(uint64(n))
			}
		}
	}()
	return func() (reading, error) {
		n := packets.Load()
		return reading{n * uint64(j.Size), n, now()}, nil
	}, nil
}

// pingEvery is the pause after each ping.
const pingEvery = 5 * time.Millisecond

// pinger sends ICMP echo requests when it is asked, and answers with the
// average round trip.
func pinger(j job) (func() (reading, error), error) {
	to, err := netip.ParseAddr(j.Remote)
	if err != nil || !to.Is4() {
		return nil, fmt.Errorf("ping of %q: an IPv4 address is needed", j.Remote)
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_ICMP)
	if err != nil {
		return nil, err
	}
	if err := unix.Connect(fd, &unix.SockaddrInet4{Addr: to.As4()}); err != nil {
		return nil, err
	}
	wait := unix.NsecToTimeval(int64(time.Second))
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &wait); err != nil {
		return nil, err
	}
	return func() (reading, error) {
		answered, sum := 0, int64(0)
		for i := range j.Count {
			if trip, err := pingOnce(fd, uint16(i)); err == nil {
				answered++
				sum += trip
			}
			time.Sleep(pingEvery)
		}
		if answered == 0 || answered < j.Count*9/10 {
			return reading{}, fmt.Errorf("%d of %d pings were answered", answered, j.Count)
		}
		return reading{Packets: uint64(answered), Nanoseconds: sum / int64(answered)}, nil
	}, nil
}

// pingOnce is one round trip on a connected raw socket, in nanoseconds.
func pingOnce(fd int, seq uint16) (int64, error) {
	const echoRequest, echoReply, identity = 8, 0, 0x7767
	msg := make([]byte, 64)
	msg[0] = echoRequest
	msg[4], msg[5], msg[6], msg[7] = identity>>8, identity&0xff, byte(seq>>8), byte(seq)
	sum := uint32(echoRequest<<8) + identity + uint32(seq)
	sum = ^(sum>>16 + sum&0xffff)
	msg[2], msg[3] = byte(sum>>8), byte(sum)
	began := now()
	if _, err := unix.Write(fd, msg); err != nil {
		return 0, err
	}
	buf := make([]byte, 256)
	for now()-began < int64(time.Second) {
		n, err := unix.Read(fd, buf)
		if err != nil && !errors.Is(err, unix.EINTR) {
			return 0, err
		}
		head := int(buf[0]&15) * 4
		if n < head+8 {
			continue
		}
		if icmp := buf[head:n]; icmp[0] == echoReply && [4]byte(icmp[4:8]) == [4]byte(msg[4:8]) {
			return now() - began, nil
		}
	}
	return 0, errors.New("no answer")
}
