package load

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"
)

// pingEvery is the pause after each ping.
const pingEvery = 5 * time.Millisecond

// pinger sends ICMP echo requests on request, and returns the average round
// trip.
func pinger(j Job) (func() (Reading, error), error) {
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
	return func() (Reading, error) {
		answered, sum := 0, int64(0)
		for i := range j.Count {
			if trip, err := pingOnce(fd, uint16(i)); err == nil {
				answered++
				sum += trip
			}
			time.Sleep(pingEvery)
		}
		if answered == 0 || answered < j.Count*9/10 {
			return Reading{}, fmt.Errorf("%d of %d pings were answered", answered, j.Count)
		}
		return Reading{Packets: uint64(answered), Nanoseconds: sum / int64(answered)}, nil
	}, nil
}

// pingOnce returns the time of one round trip on a connected raw socket, in
// nanoseconds.
func pingOnce(fd int, seq uint16) (int64, error) {
	const echoRequest, echoReply, identity = 8, 0, 0x7767
	msg := make([]byte, 64)
	msg[0] = echoRequest
	msg[4], msg[5], msg[6], msg[7] = identity>>8, identity&0xff, byte(seq>>8), byte(seq)
	sum := uint32(echoRequest<<8) + identity + uint32(seq)
	sum = ^(sum>>16 + sum&0xffff)
	msg[2], msg[3] = byte(sum>>8), byte(sum)
	began := Now()
	if _, err := unix.Write(fd, msg); err != nil {
		return 0, err
	}
	buf := make([]byte, 256)
	for Now()-began < int64(time.Second) {
		n, err := unix.Read(fd, buf)
		if err != nil && !errors.Is(err, unix.EINTR) {
			return 0, err
		}
		head := int(buf[0]&15) * 4
		if n < head+8 {
			continue
		}
		if icmp := buf[head:n]; icmp[0] == echoReply && [4]byte(icmp[4:8]) == [4]byte(msg[4:8]) {
			return Now() - began, nil
		}
	}
	return 0, errors.New("no answer")
}
