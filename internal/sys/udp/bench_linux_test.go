package udp

import (
	"fmt"
	"testing"
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
