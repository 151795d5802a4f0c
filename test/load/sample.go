package load

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"wgd/internal/aead"
	"wgd/internal/wire"
)

// SampleOf says how many datagrams a PeersReceive receives for each that it decrypts, on
// average. The kernel chooses them at random, and drops the others before the socket, so
// that the load needs little of the machine.
const SampleOf = 64

// sample is the filter that lets one in SampleOf datagrams pass.
var sample = []unix.SockFilter{
	{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: 0xfffff000 + 56}, // SKF_AD_OFF + SKF_AD_RANDOM
	{Code: unix.BPF_ALU | unix.BPF_AND | unix.BPF_K, K: SampleOf - 1},
	{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: 0, Jt: 1},
	{Code: unix.BPF_RET | unix.BPF_K, K: 0},
	{Code: unix.BPF_RET | unix.BPF_K, K: 0xffffffff},
}

// peersReceive counts the datagrams that arrive on eth0, and decrypts a sample of them.
// If one does not decrypt, the next request returns an error.
func peersReceive(j Job) (func() (Reading, error), error) {
	s, err := newSessions(j)
	if err != nil {
		return nil, err
	}
	fd := int(s.file.Fd())
	if err := filter(fd, sample); err != nil {
		return nil, err
	}
	var opened atomic.Uint64
	failed := make(chan error, 1)
	go func() {
		buf := make([]byte, 2048)
		for {
			n, err := s.file.Read(buf)
			data := false
			if err == nil {
				data, err = s.open(buf[:n])
			}
			if err != nil {
				failed <- err
				return
			}
			if data {
				opened.Add(1)
			}
		}
	}()
	return func() (Reading, error) {
		select {
		case err := <-failed:
			return Reading{}, err
		default:
		}
		text, err := os.ReadFile("/proc/self/net/dev")
		if err != nil {
			return Reading{}, err
		}
		bytes, packets, err := Received(string(text), "eth0")
		return Reading{Bytes: bytes, Packets: packets, Opened: opened.Load(), Nanoseconds: Now()}, err
	}, nil
}

// open decrypts a data message to one of the peers. If the datagram is another message,
// data is false: a daemon that misses answers initiates.
func (s *sessions) open(msg []byte) (data bool, err error) {
	if kind, _ := wire.TypeOf(msg); kind != wire.TypeData {
		return false, nil
	}
	peer := wire.DataIndex(msg)
	if int(peer) >= len(s.list) {
		return false, fmt.Errorf("a data message for the session %d, which no peer has", peer)
	}
	if s.list[peer].receive.Open(msg, []aead.Packet{{Len: int32(len(msg))}}) != 0 {
		return false, fmt.Errorf("a data message to peer %d does not decrypt", peer)
	}
	return true, nil
}

// Received returns what an interface has received, from the text of /proc/net/dev.
func Received(text, name string) (bytes, packets uint64, err error) {
	for line := range strings.Lines(text) {
		if rest, ok := strings.CutPrefix(strings.TrimSpace(line), name+":"); ok {
			_, err := fmt.Sscan(rest, &bytes, &packets)
			return bytes, packets, err
		}
	}
	return 0, 0, errors.New("/proc/net/dev has no interface " + name)
}
