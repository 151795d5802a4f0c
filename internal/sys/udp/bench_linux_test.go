package udp

import (
	"fmt"
	"runtime"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"wgd/internal/batch"
)

// BenchmarkSend measures one Send over the loopback interface, to a socket that is not
// read.
func BenchmarkSend(b *testing.B) {
	for _, count := range []int{1, 45} {
		for _, o := range []Options{{}, {NoGSO: true}} {
			b.Run(fmt.Sprintf("%d/GSO=%v", count, !o.NoGSO), func(b *testing.B) {
				from, to := pair(b, o), pair(b, o)
				train := numbered(count, 1000, 1000, endpoint("127.0.0.1", to.Port(), "", 0))
				for b.Loop() {
					if err := from.Send(train); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// BenchmarkManyDestinations compares the CPU time of one datagram to each of several
// addresses of the loopback interface, by one SendAll and by a Send for each, in turn, to a
// socket that is not read. It reports medians.
func BenchmarkManyDestinations(b *testing.B) {
	for _, size := range []int{100, 1420} {
		for _, count := range []int{2, 8, 64} {
			b.Run(fmt.Sprintf("%d bytes to %d", size, count), func(b *testing.B) {
				runtime.LockOSThread()
				defer runtime.UnlockOSThread()
				from, to := pair(b, Options{}), pair(b, Options{})
				s := from.NewSender()
				var bs []batch.Batch
				for _, x := range scattered(count, to.Port()) {
					bs = append(bs, *numbered(1, size, size, endpoint(x.Remote.Remote.Addr().String(), to.Port(), "127.0.0.1", 0)))
				}
				errs := make([]error, count)
				const datagrams = 1024
				measure := func(send func(bs []batch.Batch, errs []error)) float64 {
					before := cpuTime(b)
					for range datagrams / count {
						send(bs, errs)
					}
					return float64(cpuTime(b)-before) / datagrams
				}
				var each, all, ratio []float64
				for b.Loop() {
					x := measure(func(bs []batch.Batch, errs []error) { batch.SendInTurn(s.Send, bs, errs) })
					y := measure(s.SendAll)
					each, all, ratio = append(each, x), append(all, y), append(ratio, y/x)
				}
				b.ReportMetric(median(each), "Send-ns")
				b.ReportMetric(median(all), "SendAll-ns")
				b.ReportMetric(median(ratio), "ratio")
			})
		}
	}
}

func median(list []float64) float64 {
	slices.Sort(list)
	return list[len(list)/2]
}

// cpuTime returns the CPU time of this thread, in nanoseconds. That of getrusage is only
// as fine as the kernel's tick.
func cpuTime(tb testing.TB) int64 {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t); err != nil {
		tb.Fatal(err)
	}
	return t.Nano()
}
