package inturn

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"

	"wgd/internal/asynctest"
)

func addresses(list ...string) (result []netip.Addr) {
	for _, s := range list {
		result = append(result, netip.MustParseAddr(s))
	}
	return result
}

func TestAlternate(t *testing.T) {
	for _, c := range [][2]string{
		{"1.1.1.1", "1.1.1.1"}, {"1::1 1::2 1::3 1.1.1.1", "1::1 1.1.1.1 1::2 1::3"}, {"1.1.1.1 1::1 1::2", "1.1.1.1 1::1 1::2"},
	} {
		if got := strings.Trim(fmt.Sprint(Alternate(addresses(strings.Fields(c[0])...))), "[]"); got != c[1] {
			t.Errorf("%s: got %s, want %s", c[0], got, c[1])
		}
	}
}

// First closes the connections that it does not return, and leaves no
// goroutine.
func TestFirstClosesTheOthers(t *testing.T) {
	check := asynctest.CheckLeaks(t)
	late, lateEnd := net.Pipe()
	winner, _ := net.Pipe()
	conn, err := First(t.Context(), addresses("1.1.1.1", "1.1.1.2", "1.1.1.3"), func(ctx context.Context, addr netip.Addr) (net.Conn, error) {
		switch addr.String() {
		case "1.1.1.1": // established after another one won
			<-ctx.Done()
			return late, nil
		case "1.1.1.2":
			return nil, errors.New("refused")
		}
		return winner, nil
	})
	if conn != winner || err != nil {
		t.Fatalf("got %v, %v", conn, err)
	}
	if _, err := lateEnd.Read(make([]byte, 1)); err == nil {
		t.Error("the other connection is open")
	}
	_, err = First(t.Context(), addresses("1.1.1.1", "1.1.1.2"), func(_ context.Context, addr netip.Addr) (net.Conn, error) {
		return nil, errors.New(addr.String())
	})
	if err == nil || err.Error() != "1.1.1.1" {
		t.Errorf("got %v, want the error of the first address", err)
	}
	check()
}
