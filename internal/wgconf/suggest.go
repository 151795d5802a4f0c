package wgconf

// unknown says of a line that it is no directive here, and what was probably
// meant. The key is repeated only if it is one with a mistake in it: it may be
// the second half of a secret.
func (dec *decoder) unknown(l *line, at int, in kind) {
	key := string(squeeze(l.key))
	here, there, other := InterfaceDirectives(), PeerDirectives(), "[Peer]"
	if in == peerSection {
		here, there, other = there, here, "[Interface]"
	}
	if l.form == extension {
		if in == peerSection {
			dec.problems.warnf(at, "# %s stands in [Peer]: it is passed over; move it into [Interface]", key)
		} else {
			dec.problems.warnf(at, "# %s stands above its peer: it is passed over; move it below the line [Peer]", key)
		}
		return
	}
	for _, d := range there {
		if fold(d.Name) == fold(key) {
			dec.problems.errorf(at, "%s belongs into %s: move it below such a line", d.Name, other)
			return
		}
	}
	best, edits := Directive{}, 3
	for _, d := range append(here, there...) {
		if n := distance(fold(d.Name), fold(key)); n < edits && n < len(d.Name)/2 {
			best, edits = d, n
		}
	}
	switch {
	case best.Name == "":
		dec.problems.errorf(at, "there is no such directive: wgd.conf(5) lists them; a comment begins with #")
	case best.Comment:
		dec.problems.errorf(at, "%s is a directive of wgd alone: write it as a comment, # %s = %s, so that wg-quick passes over it", best.Name, best.Name, best.Value)
	case edits == 0: // wg-quick takes no white space within
		dec.problems.errorf(at, "%s is one word: write it without spaces", best.Name)
	default:
		dec.problems.errorf(at, "there is no directive %s: did you mean %s?", quote(string(l.key)), best.Name)
	}
}

// distance is how many letters must be added, left out or replaced to make one
// word of the other.
func distance(a, b string) int {
	if len(b) > len(a)+3 || len(a) > len(b)+3 {
		return len(a) + len(b)
	}
	previous := make([]int, len(b)+1)
	for j := range previous {
		previous[j] = j
	}
	for i := range len(a) {
		current := make([]int, len(b)+1)
		current[0] = i + 1
		for j := range len(b) {
			replaced := previous[j]
			if a[i] != b[j] {
				replaced++
			}
			current[j+1] = min(replaced, previous[j+1]+1, current[j]+1)
		}
		previous = current
	}
	return previous[len(b)]
}
