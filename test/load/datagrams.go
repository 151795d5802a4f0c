package load

import (
	"net"
	"runtime"
	"strconv"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

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
func udpSink(Job) (func() (Reading, error), error) {
	fd, err := unix.Socket(unix.AF_INET6, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 8<<20)
	if err := unix.Bind(fd, &unix.SockaddrInet6{Port: port}); err != nil {
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
	return func() (Reading, error) {
		return Reading{Bytes: bytes.Load(), Packets: packets.Load(), Nanoseconds: Now()}, nil
	}, nil
}

// udpSource sends datagrams as fast as one thread can.
func udpSource(j Job) (func() (Reading, error), error) {
	conn, err := net.Dial("udp", net.JoinHostPort(j.Remote, strconv.Itoa(port)))
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
		for begun := time.Now(); ; {
			if j.PacketRate > 0 {
				due := time.Duration(float64(packets.Load()) / j.PacketRate * float64(time.Second))
				time.Sleep(due - time.Since(begun))
			}
			n, _, errno := unix.Syscall6(unix.SYS_SENDMMSG, fd, uintptr(unsafe.Pointer(&list[0])), burst, 0, 0, 0)
			if errno == 0 {
				packets.Add(uint64(n))
			}
		}
	}()
	return func() (Reading, error) {
		n := packets.Load()
		return Reading{Bytes: n * uint64(j.Size), Packets: n, Nanoseconds: Now()}, nil
	}, nil
}
