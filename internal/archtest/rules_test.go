package archtest

import (
	"regexp"
	"strconv"
	"testing"
)

const (
	lastRule = 63 // A1 to A63, the rules of the protocol
	lastBug  = 64 // B1 to B64, what other implementations had
)

// uncited are the rules that need no test yet, each with the reason.
var uncited = map[string]string{}

var citation = regexp.MustCompile(`\b[AB][1-9][0-9]?\b`)

// TestEveryRuleIsCited: each rule of the protocol, and each known bug, is named
// by a comment or a name in a test.
func TestEveryRuleIsCited(t *testing.T) {
	cited := map[string]bool{}
	for _, s := range tree(t) {
		if !s.isTest() || s.room() == "internal/archtest" {
			continue
		}
		for _, rule := range citations(s) {
			cited[rule] = true
		}
	}
	for _, kind := range []struct {
		letter string
		last   int
	}{{"A", lastRule}, {"B", lastBug}} {
		for i := 1; i <= kind.last; i++ {
			rule := kind.letter + strconv.Itoa(i)
			switch {
			case !cited[rule] && uncited[rule] == "":
				t.Errorf("no test cites %s", rule)
			case cited[rule] && uncited[rule] != "":
				t.Errorf("a test cites %s: it is no exception any more", rule)
			}
		}
	}
}

// citations are the rules named in the comments of a file. "A1 to A3" names two.
func citations(s source) []string {
	var list []string
	for _, group := range s.file.Comments {
		for _, c := range group.List {
			list = append(list, citation.FindAllString(c.Text, -1)...)
		}
	}
	return list
}
