package archtest

import (
	"regexp"
	"strconv"
	"testing"
)

const (
	lastRule = 63 // the rules of the protocol are A1 to A63
	lastBug  = 64 // the known bugs of other implementations are B1 to B64
)

// uncited has the rules that need no test, each with the reason.
var uncited = map[string]string{}

var citation = regexp.MustCompile(`\b[AB][1-9][0-9]?\b`)

// TestEveryRuleIsCited: a comment in a test cites each rule of the protocol, and each
// known bug.
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
				t.Errorf("a test cites %s: remove it from uncited", rule)
			}
		}
	}
}

// citations returns the rules that the comments of a file cite. "A1 to A3" cites two.
func citations(s source) []string {
	var list []string
	for _, group := range s.file.Comments {
		for _, c := range group.List {
			list = append(list, citation.FindAllString(c.Text, -1)...)
		}
	}
	return list
}
