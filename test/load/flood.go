package load

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"sync/atomic"

	"wgd/internal/cookie"
	"wgd/internal/wire"
	"wgd/key"
)

// The kinds of floods that a stranger can send who knows the protocol and, for the
// first two, the daemon's public key. Each datagram has another source address in the
// network that Settle routes.
const (
	GoodMAC1  = "initiations with a right mac1"
	GuessMAC2 = "initiations with a right mac1 and a guessed mac2"
	BadMAC1   = "initiations with a wrong mac1"
	Junk      = "datagrams that are not messages"
	Replies   = "cookie replies to nothing"
	// Strangers knows the daemon's public key, and has Count keys of its own.
	Strangers = "initiations of keys that no peer has"
)

// floodDistinct is how many different datagrams a flood repeats.
const floodDistinct = 1024

// flood sends Job.PacketRate datagrams a second of the kind Job.Flood, if one thread can send
// that many. Its reading is how many it has sent. It drops all answers.
func flood(j Job) (func() (Reading, error), error) {
	datagrams, err := floodDatagrams(j)
	if err != nil {
		return nil, err
	}
	to, err := netip.ParseAddrPort(j.Remote)
	if err != nil || !to.Addr().Is4() {
		return nil, fmt.Errorf("flood: %q is not an IPv4 address and port", j.Remote)
	}
	if j.PacketRate <= 0 {
		return nil, fmt.Errorf("flood: a rate of %v datagrams a second", j.PacketRate)
	}
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{Port: peerPort})
	if err != nil {
		return nil, err
	}
	file, err := conn.File() // in blocking mode
	if err != nil {
		return nil, err
	}
	fd := int(file.Fd())
	if err := filter(fd, dropAll); err != nil {
		return nil, err
	}
	var sent atomic.Uint64
	go func() {
		defer runtime.KeepAlive(file)
		sendFlood(fd, to, datagrams, j.PacketRate, &sent)
	}()
	return func() (Reading, error) { return Reading{Packets: sent.Load(), Nanoseconds: Now()}, nil }, nil
}

// floodDatagrams makes the datagrams of a flood.
func floodDatagrams(j Job) ([][]byte, error) {
	daemon, err := key.ParsePublicHex(j.Peers.Daemon)
	if err != nil {
		return nil, err
	}
	if j.Flood == Strangers {
		return strangers(daemon, j.Count)
	}
	maker := cookie.NewMaker(daemon)
	list := make([][]byte, floodDistinct)
	for i := range list {
		var m wire.Initiation
		rand.Read(m.Ephemeral[:])
		rand.Read(m.Static[:])
		m.Sender = uint32(i)
		msg := m.AppendTo(nil)
		switch maker.AddMACs(cookieTime, msg); j.Flood {
		case GoodMAC1:
		case GuessMAC2:
			rand.Read(msg[len(msg)-wire.MACSize:])
		case BadMAC1:
			msg[len(msg)-2*wire.MACSize] ^= 1
		case Junk:
			msg[0] = 99
		case Replies:
			msg = (&wire.CookieReply{Receiver: uint32(i)}).AppendTo(nil)
		default:
			return nil, fmt.Errorf("unknown kind of flood: %q", j.Flood)
		}
		list[i] = msg
	}
	return list, nil
}

// strangers returns an initiation of each of count new keys.
func strangers(daemon key.Public, count int) ([][]byte, error) {
	c := &Peers{Seed: rand64(), Peers: max(count, 1), Daemon: daemon.Hex()}
	return initiations(c, c.Peers)
}

func rand64() uint64 {
	var b [8]byte
	rand.Read(b[:])
	return binary.LittleEndian.Uint64(b[:])
}

// sendFlood sends until the process ends.
func sendFlood(fd int, to netip.AddrPort, datagrams [][]byte, rate float64, sent *atomic.Uint64) {
	o, p := newOutgoing(burst, to), newPacer(burst, rate)
	for n := 0; ; p.wait() {
		for i := range o.list {
			o.set(i, datagrams[n%len(datagrams)])
			o.from(i, [4]byte{198, 18, byte(n >> 8), byte(n)})
			n++
		}
		sent.Add(uint64(o.send(fd)))
	}
}
