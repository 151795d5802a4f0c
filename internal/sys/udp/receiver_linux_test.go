package udp

import (
	"errors"
	"net/netip"
	"os"
	"sync"
	"testing"
	"time"

	"wgd/internal/batch"
	"wgd/internal/wire"
)

// Each train is received by one of several Receivers of a socket, into its own buffers.
// TryRecv does not wait.
func TestReceivers(t *testing.T) {
	a, b := pair(t, Options{}), pair(t, Options{})
	one, two := b.V4.NewReceiver(), b.V4.NewReceiver()
	bs := [2][]batch.Batch{make([]batch.Batch, 1), make([]batch.Batch, 1)}
	if n, err := two.TryRecv(bs[1]); n != 0 || err != nil {
		t.Fatalf("nothing was sent, but TryRecv returned %d, %v", n, err)
	}
	to := wire.NewEndpoint(netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), b.Port()), netip.Addr{}, 0)
	for _, word := range []string{"first", "other"} {
		if err := a.Send(&batch.Batch{Data: []byte(word), Stride: 5, Remote: to}); err != nil {
			t.Fatal(err)
		}
	}
	if n, err := one.Recv(bs[0]); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	if n, err := two.TryRecv(bs[1]); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	if string(bs[0][0].Data) != "first" || string(bs[1][0].Data) != "other" {
		t.Errorf("received %q and %q", bs[0][0].Data, bs[1][0].Data)
	}
	var both sync.WaitGroup
	for i, r := range []Receiver{one, two} {
		both.Go(func() {
			if _, err := r.Recv(bs[i]); !errors.Is(err, os.ErrClosed) {
				t.Errorf("after Close: %v", err)
			}
		})
	}
	time.Sleep(10 * time.Millisecond)
	b.Close()
	both.Wait()
	if _, err := one.TryRecv(bs[0]); !errors.Is(err, os.ErrClosed) {
		t.Errorf("TryRecv after Close: %v", err)
	}
}
