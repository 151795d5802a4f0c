//go:build !race

package udp

import (
	"testing"

	"wgd/internal/batch"
)

func TestNothingIsAllocated(t *testing.T) { // rule 10 of style
	bs := make([]batch.Batch, MaxDepth)
	for _, o := range []Options{{}, {NoGSO: true, NoGRO: true}} {
		a, b := pair(t, o), pair(t, o)
		for _, to := range []string{"127.0.0.1", "::1", "::1%1"} {
			conn := b.V6
			if to == "127.0.0.1" {
				conn = b.V4
			}
			train := numbered(45, 1000, 10, endpoint(to, b.Port(), "", 0))
			train.ECN = 1
			for _, depth := range []int{1, MaxDepth} {
				allocs := testing.AllocsPerRun(100, func() {
					if err := a.Send(train); err != nil {
						t.Fatal(err)
					}
					for got := 0; got < train.Count(); {
						n, err := conn.Recv(bs[:depth])
						if err != nil {
							t.Fatal(err)
						}
						for i := range n {
							got += bs[i].Count()
							train.Remote.Source, train.Remote.SourceIndex = bs[i].Remote.Source, bs[i].Remote.SourceIndex
						}
					}
				})
				if allocs != 0 {
					t.Errorf("%+v to %s, depth %d: %v allocations", o, to, depth, allocs)
				}
			}
		}
	}
}

func TestSendAllAllocatesNothing(t *testing.T) { // rule 10 of style
	a, b := pair(t, Options{}), pair(t, Options{})
	var bs []batch.Batch
	for i, x := range scattered(100, b.Port()) {
		if i%3 == 0 {
			x = numbered(5, 100, 10, endpoint("::1", b.Port(), "::1", 1))
		}
		x.ECN = byte(i % 4)
		bs = append(bs, *x)
	}
	errs := make([]error, len(bs))
	for _, s := range []Sender{a.Sender, a.Pair.NewSender()} {
		s.SendAll(bs, errs) // allocates on first use
		if n := testing.AllocsPerRun(50, func() { s.SendAll(bs, errs) }); n != 0 {
			t.Errorf("%v allocations", n)
		}
		for _, err := range errs {
			if err != nil {
				t.Fatal(err)
			}
		}
	}
}
