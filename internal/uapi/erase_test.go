package uapi

import (
	"bytes"
	"strings"
	"testing"
)

// A35: after a request or an answer was read, no key is left in the buffer.
func TestReaderErasesKeys(t *testing.T) {
	key := strings.Repeat("5a", 32)
	d := NewDecoder(strings.NewReader("set=1\nprivate_key=" + key + "\n\n"))
	if request, err := d.Next(); err != nil || request.Change.PrivateKey == nil {
		t.Fatal(err)
	}
	r := NewReader(strings.NewReader("private_key=" + key + "\nerrno=0\n\n"))
	if s, err := r.Status(); err != nil || s.PrivateKey.IsZero() {
		t.Fatal(err)
	}
	for name, l := range map[string]*lines{"decoder": &d.lines, "reader": &r.lines} {
		if left := bytes.Trim(l.buf[:], "\x00"); len(left) > 0 {
			t.Errorf("%s: %d bytes are left in the buffer", name, len(left))
		}
	}
}
