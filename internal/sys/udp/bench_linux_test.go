package udp

import (
	"fmt"
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

// BenchmarkManyDestinations measures the CPU time of one datagram to each of several
// addresses of the loopback interface, with one SendAll and with a Send for each, to a
// socket that is not read.
func BenchmarkManyDestinations(b *testing.B) {
	for _, size := range []int{100, 1420} {
		for _, count := range []int{4, 16, 64} {
			for _, name := range []string{"Send", "SendAll"} {
				b.Run(fmt.Sprintf("%d/%d/%s", size, count, name), func(b *testing.B) {
					from, to := pair(b, Options{}), pair(b, Options{})
					s := from.NewSender()
					var bs []batch.Batch
					for _, x := range scattered(count, to.Port()) {
						bs = append(bs, *numbered(1, size, size, endpoint(x.Remote.Remote.Addr().String(), to.Port(), "127.0.0.1", 1)))
					}
					errs := make([]error, count)
					send := s.SendAll
					if name == "Send" {
						send = func(bs []batch.Batch, errs []error) { batch.SendInTurn(s.Send, bs, errs) }
					}
					before := cpuTime(b)
					for b.Loop() {
						send(bs, errs)
					}
					b.ReportMetric(float64(cpuTime(b)-before)/float64(b.N*count), "cpu-ns/datagram")
				})
			}
		}
	}
}

// cpuTime returns the CPU time of this process, in nanoseconds.
func cpuTime(tb testing.TB) int64 {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		tb.Fatal(err)
	}
	return u.Utime.Nano() + u.Stime.Nano()
}
