package allowedips

import (
	"math/rand/v2"
	"net/netip"
	"runtime"
	"sync"
	"testing"
)

const million = 1_000_000

// A shape is a distribution of the prefixes in a table.
type shape struct {
	name   string
	prefix func(i int) netip.Prefix
}

var shapes = []shape{
	// Consecutive single addresses, as in a large VPN.
	{"hosts4", func(i int) netip.Prefix {
		a := 10<<24 + uint32(i)
		return netip.PrefixFrom(netip.AddrFrom4([4]byte{byte(a >> 24), byte(a >> 16), byte(a >> 8), byte(a)}), 32)
	}},
	{"hosts6", func(i int) netip.Prefix {
		return netip.PrefixFrom(netip.AddrFrom16([16]byte{0: 0xfd, 13: byte(i >> 16), 14: byte(i >> 8), 15: byte(i)}), 128)
	}},
	// Random addresses, mostly with prefixes of 16 to 24 bits, as in the
	// Internet.
	{"routes4", func(i int) netip.Prefix {
		rng := rand.New(rand.NewPCG(4, uint64(i)))
		a := rng.Uint32()
		return netip.PrefixFrom(netip.AddrFrom4([4]byte{byte(a >> 24), byte(a >> 16), byte(a >> 8), byte(a)}), 24-min(rng.IntN(10), rng.IntN(10))).Masked()
	}},
}

type large struct {
	table *Table[*int]
	addrs []netip.Addr // in random order
	bytes float64      // of memory per prefix
}

var benchTables = map[string]func() large{}

func init() {
	for _, s := range shapes {
		benchTables[s.name] = sync.OnceValue(func() large { return build(s) })
	}
}

func build(s shape) large {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	e := new(Table[*int]).Edit()
	peer := new(int)
	for i := 0; e.tree.Size() < million; i++ {
		e.Insert(s.prefix(i), peer)
	}
	l := large{table: e.Table()}
	runtime.GC()
	runtime.ReadMemStats(&after)
	l.bytes = float64(after.HeapAlloc-before.HeapAlloc) / million
	for range 1 << 16 {
		l.addrs = append(l.addrs, s.prefix(rand.IntN(million)).Addr())
	}
	return l
}

// Lookups in a table of a million prefixes: of addresses anywhere in the table,
// and of those of 64 flows, as in a data path.
func BenchmarkLookup(b *testing.B) {
	for _, s := range shapes {
		l := benchTables[s.name]()
		for _, spread := range []struct {
			name string
			n    int
		}{{"flows", 64}, {"anywhere", 1 << 16}} {
			b.Run(s.name+"/"+spread.name, func(b *testing.B) {
				i := 0
				for b.Loop() {
					if _, ok := l.table.Lookup(l.addrs[i&(spread.n-1)]); !ok {
						b.Fatal("the address was not found")
					}
					i++
				}
				b.ReportMetric(l.bytes, "B/prefix")
			})
		}
	}
}

// Changes of 1 to 100,000 prefixes in a table of a million.
func BenchmarkChange(b *testing.B) {
	for _, s := range shapes {
		l := benchTables[s.name]()
		for _, change := range []struct {
			name string
			n    int
		}{{"1", 1}, {"1000", 1000}, {"50000", 50_000}, {"100000", 100_000}} {
			b.Run(s.name+"/"+change.name, func(b *testing.B) {
				peer := new(int)
				for b.Loop() {
					e := l.table.Edit()
					for i := range change.n {
						e.Insert(s.prefix(i*7%million), peer)
					}
					e.Table()
				}
			})
		}
	}
}

func BenchmarkBuildMillion(b *testing.B) {
	for _, s := range shapes {
		b.Run(s.name, func(b *testing.B) {
			for b.Loop() {
				build(s)
			}
		})
	}
}

func BenchmarkClone(b *testing.B) {
	for _, s := range shapes {
		l := benchTables[s.name]()
		b.Run(s.name, func(b *testing.B) {
			for b.Loop() {
				(*tree[*int])(l.table).Clone()
			}
		})
	}
}
