package dataplane

import (
	"errors"
	"fmt"
	"slices"
	"testing"
)

// A listing lists the calls of a frameWriter. It loses what contains "bad".
type listing struct{ calls []string }

func (l *listing) Write(pieces [][]byte) error {
	l.calls = append(l.calls, fmt.Sprintf("write %q", pieces))
	if string(pieces[0]) == "bad" {
		return errors.New("refused")
	}
	return nil
}

// A listingEach is a listing with WriteEach.
type listingEach struct{ listing }

func (l *listingEach) WriteEach(frames [][]byte) (failed int) {
	l.calls = append(l.calls, fmt.Sprintf("each %q", frames))
	for _, f := range frames {
		if string(f) == "bad" {
			failed++
		}
	}
	return failed
}

func single(text string) [][]byte { return [][]byte{[]byte(text)} }

// Single packets are written together, in order with super-packets, and what is lost
// of them is counted.
func TestSinglePacketsAreWrittenTogether(t *testing.T) {
	l := &listingEach{}
	w := newFrameWriter(l)
	lost := 0
	for _, pieces := range [][][]byte{single("a"), single("bad"), {[]byte("super"), []byte("packet")}, single("c"), {[]byte("bad"), []byte("one")}} {
		lost += w.write(pieces)
	}
	lost += w.write(single("d"))
	lost += w.flush() + w.flush()
	want := []string{`each ["a" "bad"]`, `write ["super" "packet"]`, `each ["c"]`, `write ["bad" "one"]`, `each ["d"]`}
	if !slices.Equal(l.calls, want) {
		t.Errorf("%q", l.calls)
	}
	if lost != 3 {
		t.Errorf("%d packets lost, want 3", lost)
	}
	if slices.ContainsFunc(w.frames[:], func(f []byte) bool { return f != nil }) {
		t.Error("it keeps frames")
	}
}

// Not more wait than there is space for.
func TestSinglePacketsThatWait(t *testing.T) {
	l := &listingEach{}
	w := newFrameWriter(l)
	for range 2*waitingFrames + 1 {
		w.write(single("x"))
	}
	if len(l.calls) != 2 || w.count != 1 {
		t.Errorf("%d calls, %d wait", len(l.calls), w.count)
	}
}

// Without the call, each packet is written at once.
func TestSinglePacketsWithoutACall(t *testing.T) {
	l := &listing{}
	w := newFrameWriter(l)
	if lost := w.write(single("a")) + w.write(single("bad")); lost != 1 || len(l.calls) != 2 {
		t.Errorf("%d lost, %q", lost, l.calls)
	}
}
