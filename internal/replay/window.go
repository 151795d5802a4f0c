// Package replay provides the window that tells new counters from those already
// accepted (§5.4.6, A38): the ring of bits of RFC 6479, which moves by whole
// words and therefore never shifts bits.
package replay

const (
	wordBits = 64
	words    = 128
	bits     = words * wordBits // 8,192
)

// Size is how far behind the greatest counter an accepted counter may be. It is
// one word less than the ring has bits, because the window clears a whole word
// when it moves into it.
const Size = bits - wordBits // 8,128

// A Window records which of the latest counters were accepted. The zero Window
// has accepted none. It is not safe for concurrent use.
type Window struct {
	greatest uint64
	seen     [words]uint64 // counter c has bit c%64 of word c/64%words
}

// Accept reports whether counter is neither a repetition nor too old, and if so
// records it. Call it only after authentication: a forger must not move the
// window (A7, A38). Every uint64 is valid here; the session enforces the limit
// of counters (A37).
func (w *Window) Accept(counter uint64) bool {
	if counter > w.greatest {
		w.advance(counter)
	} else if w.greatest-counter > Size { // not counter+Size < greatest, which overflows
		return false
	}
	word, bit := &w.seen[counter/wordBits%words], uint64(1)<<(counter%wordBits)
	if *word&bit != 0 {
		return false
	}
	*word |= bit
	return true
}

// AcceptRun accepts the n counters from first on at once, if all are greater than
// any before and n is at most Size. Otherwise it does nothing and returns false:
// the caller must then call Accept for each.
func (w *Window) AcceptRun(first uint64, n int) bool {
	last := first + uint64(n-1)
	if first <= w.greatest || last < first || uint64(n-1) >= Size {
		return false
	}
	w.advance(last)
	for n > 0 {
		inWord := min(n, int(wordBits-first%wordBits))
		w.seen[first/wordBits%words] |= (1<<inWord - 1) << (first % wordBits)
		first, n = first+uint64(inWord), n-inWord
	}
	return true
}

// advance makes counter the greatest, and clears the words that the window
// enters.
func (w *Window) advance(counter uint64) {
	from, to := w.greatest/wordBits, counter/wordBits
	w.greatest = counter
	if to-from >= words {
		w.seen = [words]uint64{}
		return
	}
	for i := from + 1; i <= to; i++ {
		w.seen[i%words] = 0
	}
}
