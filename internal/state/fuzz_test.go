package state

import (
	"bytes"
	"maps"
	"testing"

	"wgd/key"
)

// FuzzLoad loads any input, writes the contents and loads them again unchanged.
func FuzzLoad(f *testing.F) {
	good := appendRecord([]byte(heading), kindCeiling, key.Public{}, stampOf(1000))
	good = appendRecord(good, kindStamp, peer(1), stampOf(1))
	good = appendRecord(good, kindStamp, peer(2), stampOf(2))
	good = appendRecord(good, kindForget, peer(1), stampOf(0))
	f.Add([]byte{})
	f.Add(good)
	f.Add(good[:len(good)-10])
	f.Add(append(bytes.Clone(good), make([]byte, 2*recordSize)...))
	f.Add(bytes.Replace(good, []byte{0xbb}, []byte{0xbc}, 1))
	f.Fuzz(func(t *testing.T, data []byte) {
		c, d, err := load(bytes.NewReader(data))
		if err != nil && (err != errHeading || bytes.HasPrefix(data, []byte(heading))) {
			t.Fatal(err)
		}
		if d.bad > d.records || d.records > (len(data)+recordSize-1)/recordSize || len(c.received) > d.records-d.bad {
			t.Fatalf("impossible counts: %d records, %d of them bad, %d peers in %d bytes", d.records, d.bad, len(c.received), len(data))
		}
		var again bytes.Buffer
		if err := c.writeTo(&again); err != nil {
			t.Fatal(err)
		}
		c2, d2, err := load(&again)
		if err != nil || d2.bad != 0 || d2.records != c.records() || c2.ceiling != c.ceiling || !maps.Equal(c2.received, c.received) {
			t.Fatalf("written and read again: got %v, %v, %v, want %v", c2, d2, err, c)
		}
	})
}
