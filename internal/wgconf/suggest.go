package wgconf

import "wgd/internal/quote"

// unknown reports that a line is no directive of this section, and what was probably
// meant. It quotes the key only if that resembles a directive, because it may be the
// second half of a secret.
func (dec *decoder) unknown(l *line, at int, in kind) {
	key := string(squeeze(l.key))
	here, there, other := InterfaceDirectives(), PeerDirectives(), "[Peer]"
	if in == peerSection {
		here, there, other = there, here, "[Interface]"
	}
	if l.form == extension {
		if in == peerSection {
			dec.problems.warnf(at, "# %s is in [Peer], so it is ignored: move it into [Interface]", key)
		} else {
			dec.problems.warnf(at, "# %s is above its peer, so it is ignored: move it below the line [Peer]", key)
		}
		return
	}
	for _, d := range there {
		if fold(d.Name) == fold(key) {
			dec.problems.errorf(at, "%s belongs in %s: move it below such a line", d.Name, other)
			return
		}
	}
	best := nearest(key, append(here, there...), func(d Directive) string { return d.Name })
	switch {
	case best.Name == "":
		dec.problems.errorf(at, "there is no such directive: wgd.conf(5) lists them; a comment begins with #")
	case best.Comment:
		dec.problems.errorf(at, "%s is a directive of wgd alone: write it as a comment, # %s = %s, so that wg-quick ignores it", best.Name, best.Name, best.Value)
	case fold(best.Name) == fold(key): // wg-quick accepts no white space within a key
		dec.problems.errorf(at, "%s is one word: write it without spaces", best.Name)
	default:
		dec.problems.errorf(at, "there is no directive %s: did you mean %s?", quote.Text(string(l.key)), best.Name)
	}
}

// Nearest returns the one of the names that was probably meant by a misspelled one, or "".
func Nearest(misspelled string, names []string) string {
	return nearest(misspelled, names, func(name string) string { return name })
}

func nearest[T any](misspelled string, list []T, name func(T) string) (best T) {
	edits := 3
	for _, one := range list {
		if n := distance(fold(name(one)), fold(misspelled)); n < edits && n < len(name(one))/2 {
			best, edits = one, n
		}
	}
	return best
}

// distance returns how many letters must be added, removed or replaced to change one
// word into the other.
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
