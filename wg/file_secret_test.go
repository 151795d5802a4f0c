package wg

import (
	"bytes"
	"errors"
	"testing"
	"testing/iotest"
)

// A file is read whole, whatever its size was expected to be, and what was read of one that
// cannot be read whole is zeroed.
func TestReadSecret(t *testing.T) {
	want := bytes.Repeat([]byte("PrivateKey\n"), 5000)
	for _, size := range []int64{0, 10, int64(len(want)), 1 << 20} {
		got, err := readSecret(iotest.OneByteReader(bytes.NewReader(want)), size)
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("expected %d: %d bytes, %v", size, len(got), err)
		}
	}
	r := &keeping{err: errors.New("broken")}
	if text, err := readSecret(r, 100); err != r.err || text != nil {
		t.Errorf("%q, %v", text, err)
	}
	if !bytes.Equal(r.seen, make([]byte, len(r.seen))) {
		t.Errorf("%q is left in memory", r.seen)
	}
}

// keeping is a reader that gives 10 bytes and then fails. It keeps what it was given.
type keeping struct {
	seen []byte
	err  error
}

func (k *keeping) Read(p []byte) (int, error) {
	if k.seen != nil {
		return 0, k.err
	}
	k.seen = p[:copy(p, "PrivateKey")]
	return len(k.seen), nil
}
