package udp

import (
	"encoding/binary"
	"testing"

	"golang.org/x/sys/unix"
)

// ttlFamily is how the kernel reports the TTL of a datagram.
type ttlFamily struct {
	to                          string
	domain, level, option, kind int
}

var ttlFamilies = []ttlFamily{
	{"127.0.0.1", unix.AF_INET, unix.SOL_IP, unix.IP_RECVTTL, unix.IP_TTL},
	{"::1", unix.AF_INET6, unix.SOL_IPV6, unix.IPV6_RECVHOPLIMIT, unix.IPV6_HOPLIMIT},
}

// A batch is sent with its TTL, as a train and as single datagrams, and later batches
// with the default TTL again (A46).
func TestTTL(t *testing.T) {
	for _, o := range []Options{{}, {NoGSO: true}} {
		a := pair(t, o)
		for _, c := range ttlFamilies {
			fd, port := ttlSocket(t, c)
			for _, ttl := range []byte{0, 59, 1, 255, 0} {
				train := numbered(5, 100, 50, endpoint(c.to, port, "", 0))
				train.TTL = ttl
				if err := a.Send(train); err != nil {
					t.Fatal(err)
				}
				want := int(ttl)
				if ttl == 0 {
					want = 64
				}
				for range 5 {
					if got := receivedTTL(t, fd, c.level, c.kind); got != want {
						t.Fatalf("to %s: TTL %d, want %d", c.to, got, want)
					}
				}
			}
		}
	}
}

// ttlSocket returns a socket that reports the TTL of what it receives, and its port.
func ttlSocket(t *testing.T, c ttlFamily) (fd int, port uint16) {
	t.Helper()
	fd, err := socket(c.domain)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	any := unix.Sockaddr(&unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}})
	if c.domain == unix.AF_INET6 {
		any = &unix.SockaddrInet6{Addr: [16]byte{15: 1}}
	}
	if err := unix.Bind(fd, any); err != nil {
		t.Fatal(err)
	}
	if err := unix.SetsockoptInt(fd, c.level, c.option, 1); err != nil {
		t.Fatal(err)
	}
	local, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	switch l := local.(type) {
	case *unix.SockaddrInet4:
		port = uint16(l.Port)
	case *unix.SockaddrInet6:
		port = uint16(l.Port)
	}
	return fd, port
}

func receivedTTL(t *testing.T, fd, level, kind int) int {
	t.Helper()
	buf, oob := make([]byte, 2000), make([]byte, 200)
	_, n, _, _, err := unix.Recvmsg(fd, buf, oob, 0)
	if err != nil {
		t.Fatal(err)
	}
	list, err := unix.ParseSocketControlMessage(oob[:n])
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range list {
		if int(m.Header.Level) == level && int(m.Header.Type) == kind {
			return int(binary.NativeEndian.Uint32(m.Data))
		}
	}
	t.Fatal("no TTL was received")
	return 0
}
