package main

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

const (
	smallSize   = 64  // bytes of an inner datagram
	smallWire   = 128 // bytes that the engine counts for it, with headers, padding and tag
	burstLength = 16  // successive datagrams of one flow
)

// small sends t.Kilo thousand datagrams per second into the tunnel, of many flows. The
// kernel drops those that do not fit into the queues of the interface.
func (t task) small() (func() (result, error), error) {
	var flows []int
	for range t.Flows {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM, 0)
		if err != nil {
			return nil, err
		}
		if err := unix.Connect(fd, &unix.SockaddrInet4{Port: 9, Addr: inner(2).As4()}); err != nil {
			return nil, err
		}
		flows = append(flows, fd)
	}
	buf := make([]byte, smallSize)
	each := time.Duration(burstLength * 1e6 / t.Kilo)
	go t.pace(each, func(i int) bool {
		for range burstLength {
			unix.Write(flows[i%len(flows)], buf)
		}
		return true
	})
	return nothing, nil
}

const smallHead = "flows  queues  1000/s  CPU µs each  own cores  idle cores  others' cores"

func (t task) printSmall(r result) {
	packets := float64(r.Bytes) / smallWire
	fmt.Printf("%5d  %6d  %6.0f  %11.2f  %9.2f  %10.2f  %13.2f  %s\n", t.Flows, t.Width, packets/1e3/r.Seconds, 1e6*r.Own/packets,
		r.Own/r.Seconds, r.Idle/r.Seconds, float64(cores())-(r.Own+r.Idle)/r.Seconds, describeTrials(r.Out.Queues))
}
