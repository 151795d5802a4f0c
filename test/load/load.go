// Package load generates traffic for tests and for programs that measure:
// streams, datagrams, pings, and many peers that make handshakes with a daemon.
// Workers on simulated hosts generate it. A worker is the program itself, started
// again on that host, so the program has to call Become.
package load

import (
	"golang.org/x/sys/unix"

	"wgd/test/lab"
)

// A Job is what a worker has to do in its role.
type Job struct {
	Remote  string  `json:",omitempty"` // address
	Streams int     `json:",omitempty"`
	Rate    float64 `json:",omitempty"` // bits a second; 0: as much as possible
	Size    int     `json:",omitempty"` // bytes of a datagram
	// PacketRate is the rate of a UDPRound, a PeersSend, a Flood or a UDPSource, in datagrams
	// a second.
	PacketRate float64 `json:",omitempty"`

	Count int    `json:",omitempty"` // of pings, handshakes or peers
	Flood string `json:",omitempty"` // kind of flood
	Peers *Peers `json:",omitempty"` // the peers that a worker simulates
	Inner string `json:",omitempty"` // address beyond the tunnels of Clients
}

// A Reading is a worker's answer: what it has done so far.
type Reading struct {
	Bytes, Packets uint64 // packets, or handshakes
	Nanoseconds    int64  // of the monotonic clock; of a ping: its round trip
	// Lost are handshake messages without an answer in time, connections that are broken, or
	// peers that send elsewhere than to Remote.
	Lost       uint64    `json:",omitempty"`
	Handshakes uint64    `json:",omitempty"` // that were completed
	Opened     uint64    `json:",omitempty"` // data messages that PeersReceive has decrypted
	Silences   []Silence `json:",omitempty"` // of each peer or flow
	Times      []int64   `json:",omitempty"` // of each handshake, in nanoseconds
}

// Since returns the difference from an earlier reading.
func (r Reading) Since(before Reading) Reading {
	return Reading{Bytes: r.Bytes - before.Bytes, Packets: r.Packets - before.Packets, Nanoseconds: r.Nanoseconds - before.Nanoseconds, Lost: r.Lost - before.Lost,
		Opened: r.Opened - before.Opened}
}

// Seconds returns the time of a reading.
func (r Reading) Seconds() float64 { return float64(r.Nanoseconds) / 1e9 }

// Milliseconds returns the time of a reading.
func (r Reading) Milliseconds() float64 { return float64(r.Nanoseconds) / 1e6 }

// Gigabits returns the rate of a reading, in 10^9 bits a second.
func (r Reading) Gigabits() float64 { return float64(r.Bytes) * 8 / r.Seconds() / 1e9 }

// A Worker runs one of the roles of this package.
type Worker = lab.Worker[Reading]

// The roles of workers. Some act on each request for a reading.
const (
	TCPSink    = "tcp-sink"    // reads from all connections to a port
	TCPSource  = "tcp-source"  // writes to Streams connections, at Rate in total
	TCPEcho    = "tcp-echo"    // sends back what it receives from all connections to a port
	IdleSOCKS5 = "idle-socks5" // holds Count connections to Remote through SOCKS5; on request, uses each
	UDPSink    = "udp-sink"
	UDPSource  = "udp-source" // datagrams of Size, at PacketRate, or as fast as one thread can
	UDPRound   = "udp-round"  // a datagram to each of Count peers in turn, at PacketRate, or as fast as one thread can
	Ping       = "ping"       // on request, sends Count ICMP echoes; the reading is the average round trip
	Initiators = "initiators" // on request, makes Count handshakes that Peers initiate
	Storm      = "storm"      // the same, but returns at once what has been done so far
	Responders = "responders" // on request, waits until the daemon has initiated to all of Peers
	Flood      = "flood"      // sends datagrams of kind Flood to the daemon of Peers
	LateRelay  = "late-relay" // forwards datagrams to Remote and back, each after 33 ms, and 1 % of them 5 ms later
	Reconnect  = "reconnect"  // from the first request, all of Peers initiate; returns what has been done so far
	Clients    = "clients"    // Peers as Linux has them, with data to Inner; PrepareClients first
	TCPFlows   = "tcp-flows"  // Count connections to a TCPEcho, from the addresses of Peers if there are any
	UDPFlows   = "udp-flows"  // the same with datagrams to a lab.Echo
	First      = "first"      // on request, one handshake of each of Peers, one after the other; returns their Times

	// All of Peers get a session each before these two are ready.
	PeersSend    = "peers-send"    // an inner packet of Size from each in turn to InnerSink, at PacketRate, or as fast as one thread can
	PeersReceive = "peers-receive" // counts what arrives for them, and decrypts a sample
)

var crew = lab.Crew[Job, Reading]{
	TCPSink:    tcpSink,
	TCPSource:  tcpSource,
	TCPEcho:    tcpEcho,
	IdleSOCKS5: idleSOCKS5,
	UDPSink:    udpSink,
	UDPSource:  udpSource,
	UDPRound:   udpRound,
	Ping:       pinger,
	Initiators: initiators,
	Storm:      storm,
	Responders: responders,
	Flood:      flood,
	LateRelay:  lateRelay,
	Reconnect:  reconnect,
	Clients:    clients,
	TCPFlows:   tcpFlows,
	UDPFlows:   udpFlows,
	First:      first,

	PeersSend:    peersSend,
	PeersReceive: peersReceive,
}

// Become does not return in a process that was started as a worker.
func Become() { crew.Become() }

// Start starts a worker on a host and waits until it is ready.
func Start(h *lab.Host, role string, j Job) *Worker { return crew.Start(h, role, j) }

// Now returns the monotonic clock, which all processes share, in nanoseconds.
func Now() int64 {
	var ts unix.Timespec
	unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts)
	return ts.Nano()
}
