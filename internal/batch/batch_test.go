package batch

import (
	"bytes"
	"testing"
)

// The datagrams of a train, joined, are the train (B1: also for an empty train
// and one of unknown stride).
func TestAt(t *testing.T) {
	data := make([]byte, 2000)
	for i := range data {
		data[i] = byte(i % 251)
	}
	for _, c := range []struct{ length, stride, count int }{
		{0, 0, 1}, {0, 100, 1}, {1, 1, 1}, {100, 0, 1}, {100, 100, 1}, {100, 200, 1},
		{200, 100, 2}, {201, 100, 3}, {299, 100, 3}, {2000, 1, 2000}, {100, -1, 1},
	} {
		b := Batch{Data: data[:c.length], Stride: c.stride}
		var joined []byte
		for i := range b.Count() {
			joined = append(joined, b.At(i)...)
			if c.stride > 0 && i+1 < b.Count() && len(b.At(i)) != c.stride {
				t.Errorf("%+v: datagram %d has %d bytes, want %d", c, i, len(b.At(i)), c.stride)
			}
		}
		if b.Count() != c.count || !bytes.Equal(joined, b.Data) {
			t.Errorf("%+v: got %d datagrams of %d bytes in all", c, b.Count(), len(joined))
		}
	}
}

func TestSendInTurn(t *testing.T) {
	bs, errs := []Batch{{TTL: 1}, {TTL: 2}, {TTL: 3}}, []error{ErrBacklog, ErrBacklog, ErrBacklog}
	var order []byte
	SendInTurn(func(b *Batch) error {
		if order = append(order, b.TTL); b.TTL == 2 {
			return ErrSourceGone
		}
		return nil
	}, bs, errs)
	if errs[0] != nil || errs[1] != ErrSourceGone || errs[2] != nil || !bytes.Equal(order, []byte{1, 2, 3}) {
		t.Errorf("sent %d, errors %v", order, errs)
	}
}
