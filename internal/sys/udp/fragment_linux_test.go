package udp

import (
	"errors"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

// A batch with DontFragment is not fragmented, and what is sent before it, after it and at
// the same time is, through the sockets of package net as well. (A46)
func TestPortableDontFragment(t *testing.T) {
	_, b, _, _ := twoHosts(t, 1300)
	a := portablePair(t, 0, Options{})
	for _, to := range []string{"10.7.0.2", "fd07::2"} {
		receiver := b.V6
		if strings.HasPrefix(to, "10") {
			receiver = b.V4
		}
		end := endpoint(to, b.Port(), "", 0)
		long, short := numbered(1, 1400, 1400, end), numbered(1, 1200, 1200, end)
		for range 3 {
			long.DontFragment, short.DontFragment = false, false
			if err := a.NewSender().Send(long); err != nil {
				t.Fatal(err)
			}
			collect(t, receiver, 8, long)
			long.DontFragment, short.DontFragment = true, true
			if err := a.NewSender().Send(long); !errors.Is(err, unix.EMSGSIZE) {
				t.Errorf("%s: %v", to, err)
			}
			if n, errno := pending(receiver.conn); errno != unix.EAGAIN {
				t.Errorf("%s: %d bytes arrived, %v", to, n, errno)
			}
			if err := a.NewSender().Send(short); err != nil {
				t.Fatal(err)
			}
			collect(t, receiver, 8, short)
		}
		var plain sync.WaitGroup
		plain.Go(func() {
			for range 300 {
				if err := a.NewSender().Send(numbered(1, 1400, 1400, end)); err != nil {
					t.Errorf("%s: at the same time: %v", to, err)
					return
				}
			}
		})
		for range 100 {
			if err := a.NewSender().Send(long); !errors.Is(err, unix.EMSGSIZE) {
				t.Errorf("%s: %v", to, err)
			}
		}
		plain.Wait()
	}
}
