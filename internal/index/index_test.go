package index

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math/bits"
	"math/rand/v2"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"

	"wgd/internal/peer"
	"wgd/internal/session"
	"wgd/internal/wire"
)

// indices returns a source of randomness that yields these indices and then EOF.
func indices(list ...uint32) io.Reader {
	var b []byte
	for _, i := range list {
		b = binary.LittleEndian.AppendUint32(b, i)
	}
	return bytes.NewReader(b)
}

func seeded(n byte) io.Reader { return rand.NewChaCha8([32]byte{n}) }

// B43, A14: index 0 is an ordinary index.
func TestIndexZero(t *testing.T) {
	table, e := New(), &Entry{}
	i, err := table.Reserve(indices(0), e)
	if err != nil || i != 0 {
		t.Fatalf("Reserve = %d, %v", i, err)
	}
	if table.Lookup(0) != e {
		t.Fatal("index 0 is not found")
	}
	table.Release(0)
	if table.Lookup(0) != nil || table.Len() != 0 {
		t.Fatal("index 0 is not released")
	}
}

// A14: after drawing a taken index, Reserve draws again.
func TestCollision(t *testing.T) {
	table := New()
	first, _ := table.Reserve(indices(7), &Entry{})
	second, err := table.Reserve(indices(7, 7, 8), &Entry{})
	if err != nil || first != 7 || second != 8 {
		t.Fatalf("got %d, %d, %v, want 7, 8", first, second, err)
	}
}

func TestBrokenRandomness(t *testing.T) {
	table := New()
	if _, err := table.Reserve(indices(), &Entry{}); !errors.Is(err, io.EOF) {
		t.Errorf("empty source: got %v, want EOF", err)
	}
	zeros := zeroReader{}
	if _, err := table.Reserve(zeros, &Entry{}); err != nil {
		t.Fatal(err)
	}
	if _, err := table.Reserve(zeros, &Entry{}); !errors.Is(err, ErrExhausted) {
		t.Errorf("a source that repeats itself: got %v, want ErrExhausted", err)
	}
	if table.Len() != 1 {
		t.Errorf("Len = %d after failures, want 1", table.Len())
	}
}

type zeroReader struct{}

func (zeroReader) Read(b []byte) (int, error) { clear(b); return len(b), nil }

// The table agrees with a map while it grows and shrinks.
func TestModel(t *testing.T) {
	table, model := New(), map[uint32]*Entry{}
	random, dice := seeded(1), rand.New(rand.NewPCG(1, 2))
	var taken []uint32
	for step := range 60000 {
		grow := step < 20000 || step > 50000
		switch roll := dice.IntN(10); {
		case grow && roll < 7 || !grow && roll < 2 || len(taken) == 0:
			e := &Entry{Peer: &peer.Peer{}}
			i, err := table.Reserve(random, e)
			if err != nil || model[i] != nil {
				t.Fatalf("Reserve = %d, %v; taken before: %t", i, err, model[i] != nil)
			}
			model[i], taken = e, append(taken, i)
		case roll == 9:
			i, e := taken[dice.IntN(len(taken))], &Entry{}
			table.Replace(i, e)
			model[i] = e
		default:
			k := dice.IntN(len(taken))
			table.Release(taken[k])
			delete(model, taken[k])
			taken[k] = taken[len(taken)-1]
			taken = taken[:len(taken)-1]
		}
		if table.Len() != len(model) {
			t.Fatalf("step %d: Len = %d, want %d", step, table.Len(), len(model))
		}
		if step%5000 == 0 {
			for i, e := range model {
				if table.Lookup(i) != e {
					t.Fatalf("step %d: index %d is lost", step, i)
				}
			}
		}
	}
	for _, i := range taken {
		table.Release(i)
		table.Release(i)
	}
	if table.Len() != 0 || len(table.chains.Load().heads) != minChains {
		t.Errorf("an empty table has %d entries and %d chains", table.Len(), len(table.chains.Load().heads))
	}
	table.Replace(5, &Entry{})
	if table.Lookup(5) != nil {
		t.Error("Replace set the entry of a free index")
	}
}

// B15: indices are spread evenly over all 32 bits.
func TestSpread(t *testing.T) {
	table, random := New(), seeded(3)
	var ones [32]int
	const n = 4096
	for range n {
		i, err := table.Reserve(random, &Entry{})
		if err != nil {
			t.Fatal(err)
		}
		for ; i != 0; i &= i - 1 {
			ones[bits.TrailingZeros32(i)]++
		}
	}
	for bit, count := range ones {
		if count < n*4/10 || count > n*6/10 {
			t.Errorf("bit %d is set in %d of %d indices, want about half", bit, count, n)
		}
	}
}

// Readers always find an entry that stays, whatever the writer does meanwhile.
func TestReadersDuringWrites(t *testing.T) {
	table, random := New(), seeded(4)
	var kept []uint32
	for range 40 {
		i, _ := table.Reserve(random, &Entry{})
		kept = append(kept, i)
	}
	var stop atomic.Bool
	var rounds atomic.Int64
	var readers sync.WaitGroup
	for range 3 {
		readers.Go(func() {
			for ; !stop.Load(); rounds.Add(1) {
				for _, i := range kept {
					if table.Lookup(i) == nil {
						t.Errorf("index %d was not found", i)
						return
					}
				}
			}
		})
	}
	for n := 0; n < 30 || rounds.Load() < 30; n++ {
		var temporary []uint32
		for range 500 {
			i, _ := table.Reserve(random, &Entry{})
			temporary = append(temporary, i)
		}
		for _, i := range kept {
			table.Replace(i, &Entry{})
		}
		for _, i := range temporary {
			table.Release(i)
		}
	}
	stop.Store(true)
	readers.Wait()
}

func BenchmarkLookup(b *testing.B) {
	table, random := New(), seeded(5)
	var last uint32
	for range 10000 {
		last, _ = table.Reserve(random, &Entry{})
	}
	for b.Loop() {
		table.Lookup(last)
	}
}

// A session is found by the index of the other end and the peer's endpoint, even
// if several peers have chosen the same index, and not after its release.
func TestSent(t *testing.T) {
	table, random := New(), seeded(6)
	dice := rand.New(rand.NewPCG(3, 4))
	type live struct {
		local, remote uint32
		at            netip.AddrPort
		entry         *Entry
	}
	var all []live
	check := func() {
		t.Helper()
		for _, s := range all {
			if table.LookupRemote(s.remote, s.at) != s.entry {
				t.Fatalf("the session %d to %v is not found", s.remote, s.at)
			}
		}
	}
	common := peer.NewCommon(peer.Timing{})
	for i := range 5000 {
		p := peer.New(common)
		at := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), 7)
		p.SetEndpoint(wire.NewEndpoint(at, netip.Addr{}, 0))
		local, err := table.Reserve(random, &Entry{Peer: p}) // a handshake
		if err != nil {
			t.Fatal(err)
		}
		remote := uint32(dice.IntN(200)) // many peers choose the same one
		e := &Entry{Peer: p, Keypair: keypair(local, remote)}
		table.Replace(local, e)
		all = append(all, live{local, remote, at, e})
	}
	check()
	if table.LookupRemote(200, all[0].at) != nil || table.LookupRemote(all[0].remote, netip.AddrPortFrom(all[0].at.Addr(), 8)) != nil {
		t.Error("LookupRemote found a session that does not exist")
	}
	for len(all) > 0 {
		i := dice.IntN(len(all))
		gone := all[i]
		all = append(all[:i], all[i+1:]...)
		table.Release(gone.local)
		if table.LookupRemote(gone.remote, gone.at) != nil {
			t.Fatal("LookupRemote found a released session")
		}
		if len(all)%500 == 0 {
			check()
		}
	}
	if n := len(table.remote.Load().heads); n != minChains || table.sessions != 0 {
		t.Errorf("%d chains and %d sessions are left, want %d and 0", n, table.sessions, minChains)
	}
}

func keypair(local, remote uint32) *session.Keypair {
	return session.New(new([32]byte), new([32]byte), local, remote, true, 0)
}
