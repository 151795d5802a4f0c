package nft

import (
	"errors"
	"testing"

	"wgd/internal/sys/netns/netnstest"
)

// A list that changed while it was read is read again, and an error in it counts only
// if nothing changed. If that does not end, the error says so.
func TestRulesAreReadAgain(t *testing.T) {
	broken := errors.New("gone meanwhile")
	for _, c := range []struct {
		name    string
		changes int // readings that something changes during
		fails   int // readings that fail
		want    int // readings
		err     error
	}{
		{"quiet", 0, 0, 1, nil},
		{"changed three times", 3, 3, 4, nil},
		{"an error", 3, 4, 4, broken},
		{"changes all the time", readings, 0, readings, errChanging},
	} {
		n, number := 0, uint32(7)
		err := unchanged(func() (uint32, error) { return number, nil }, func() error {
			if n++; n <= c.changes {
				number++
			}
			if n <= c.fails {
				return broken
			}
			return nil
		})
		if n != c.want || !errors.Is(err, c.err) {
			t.Errorf("%s: %v after %d readings, want %v after %d", c.name, err, n, c.err, c.want)
		}
	}
}

// Every change of the rules has another generation, and nothing else has.
func TestGeneration(t *testing.T) {
	netnstest.Isolate(t)
	needsNft(t)
	g := Guard{Interface: "wg0", Mark: 7}
	var last uint32
	for i, change := range []func() error{g.Add, g.Delete} {
		if err := change(); err != nil {
			t.Fatal(err)
		}
		number, err := generation()
		again, failed := generation()
		if err != nil || failed != nil || number != again || i > 0 && number == last {
			t.Errorf("the generation is %d, then %d (%v, %v); it was %d before the change", number, again, err, failed, last)
		}
		last = number
	}
}
