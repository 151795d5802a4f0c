// Package replay has the window that tells a counter seen before from a new
// one (§5.4.6, A38): the ring of bits of RFC 6479, which moves by whole words
// and so never shifts.
package replay

const (
	wordBits = 64
	words    = 128
	bits     = words * wordBits // 8,192
)

// Size is how far behind the greatest counter another one may be and still be
// accepted. One word less than there are bits, because the word that the
// greatest counter is in is cleared as a whole when the window moves into it.
const Size = bits - wordBits // 8,128

// Window remembers which of the last counters were accepted. The zero Window
// has accepted none. It is not safe for concurrent use.
type Window struct {
	greatest uint64
	seen     [words]uint64 // counter c: bit c%64 of word c/64%words
}

// Accept reports whether counter is neither a repetition nor too old, and if
// so remembers it. Call it only after authentication: a forger must not move
// the window (A7, A38). Every uint64 is a valid counter here; where they end is
// for the session to enforce (A37).
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

// AcceptRun accepts the n counters from first on at once, if all are greater
// than any before and no more than Size. If not, it does nothing and returns
// false: then Accept has to be asked about each.
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
// enters on the way.
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
