// Package load is the traffic of the programs that measure, and of tests:
// streams, datagrams, pings, and many peers that make handshakes with a daemon.
// It is made by workers on simulated hosts: the program itself, started again
// there, has to call Become.
package load

import (
	"golang.org/x/sys/unix"

	"wgd/test/lab"
)

// Job is what a worker is to do, in its role.
type Job struct {
	Remote  string  `json:",omitempty"` // address
	Streams int     `json:",omitempty"`
	Rate    float64 `json:",omitempty"` // bits a second; 0: all that goes
	Size    int     `json:",omitempty"` // bytes of a datagram
	// PacketRate is the rate of a UDPRound or a Flood, in datagrams a second.
	PacketRate float64 `json:",omitempty"`

	Count int    `json:",omitempty"` // of pings, handshakes or peers
	Flood string `json:",omitempty"` // kind of flood
	Peers *Peers `json:",omitempty"` // the peers that a worker plays
}

// Reading is a worker's answer: what it has done so far.
type Reading struct {
	Bytes, Packets uint64 // packets, or handshakes
	Nanoseconds    int64  // of the monotonic clock; of a ping: its round trip
	Lost           uint64 `json:",omitempty"` // handshake messages without an answer in time
}

// Since is what passed after an earlier reading.
func (r Reading) Since(before Reading) Reading {
	return Reading{r.Bytes - before.Bytes, r.Packets - before.Packets, r.Nanoseconds - before.Nanoseconds, r.Lost - before.Lost}
}

// Seconds is the time of a reading.
func (r Reading) Seconds() float64 { return float64(r.Nanoseconds) / 1e9 }

// Milliseconds is the time of a reading.
func (r Reading) Milliseconds() float64 { return float64(r.Nanoseconds) / 1e6 }

// Gigabits is the rate of a reading, in 10^9 bits a second.
func (r Reading) Gigabits() float64 { return float64(r.Bytes) * 8 / r.Seconds() / 1e9 }

// Worker is a worker of this package's.
type Worker = lab.Worker[Reading]

// Roles of workers.
const (
	TCPSink    = "tcp-sink"   // swallows all connections to a port
	TCPSource  = "tcp-source" // pours into Streams connections, at Rate in sum
	UDPSink    = "udp-sink"
	UDPSource  = "udp-source" // datagrams of Size, as fast as one thread can
	UDPRound   = "udp-round"  // a datagram to each of Count peers in turn, at PacketRate
	Ping       = "ping"       // asked, Count ICMP echoes: their average round trip
	Initiators = "initiators" // asked, Count handshakes that Peers begins, to their end
	Storm      = "storm"      // the same, but answers at once: what was done so far
	Responders = "responders" // asked, waits until all of Peers were initiated to
	Flood      = "flood"      // sends datagrams of kind Flood to the daemon of Peers
	Reconnect  = "reconnect"  // asked, what became so far of Peers, who all initiate when it is asked first
)

var crew = lab.Crew[Job, Reading]{
	TCPSink:    tcpSink,
	TCPSource:  tcpSource,
	UDPSink:    udpSink,
	UDPSource:  udpSource,
	UDPRound:   udpRound,
	Ping:       pinger,
	Initiators: initiators,
	Storm:      storm,
	Responders: responders,
	Flood:      flood,
	Reconnect:  reconnect,
}

// Become does not return in a process that was started as a worker.
func Become() { crew.Become() }

// Start starts a worker on a host and waits until it is ready.
func Start(h *lab.Host, role string, j Job) *Worker { return crew.Start(h, role, j) }

// Now is the monotonic clock, which all processes share, in nanoseconds.
func Now() int64 {
	var ts unix.Timespec
	unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts)
	return ts.Nano()
}
