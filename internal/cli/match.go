package cli

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"wgd/internal/quote"
	"wgd/key"
)

// A word is one word of a syntax.
type word struct {
	text     string // without brackets and dots
	literal  bool   // a literal, or a choice of literals
	repeat   bool   // one or more
	optional bool   // in brackets
	opens    bool   // the first word in its brackets
	closes   bool   // the last word in its brackets
	marker   bool   // OPTIONS, which stands for the options
	anything bool   // the syntax ends here, and any words may follow
}

// parseSyntax splits a syntax into its words.
func parseSyntax(syntax string) []word {
	var words []word
	inside := false
	for text := range strings.FieldsSeq(syntax) {
		w := word{}
		if strings.HasPrefix(text, "[") {
			inside, w.opens = true, true
			text = text[1:]
		}
		w.optional = inside
		if inside && strings.HasSuffix(text, "]") {
			inside, w.closes = false, true
			text = strings.TrimSuffix(text, "]")
		}
		text, w.repeat = strings.CutSuffix(text, "...")
		w.text = text
		w.marker = text == "OPTIONS"
		w.literal = text == "" || !(text[0] >= 'A' && text[0] <= 'Z')
		words = append(words, w)
	}
	return words
}

// is reports whether a typed word matches this word of the syntax.
func (w word) is(typed string) bool {
	if !w.literal {
		return true
	}
	for choice := range strings.SplitSeq(w.text, "|") {
		if typed == choice {
			return true
		}
	}
	return false
}

// A matchResult says how far typed words match a syntax.
type matchResult struct {
	complete bool
	used     int // the number of typed words that match
	literals int // how many of them match literals
	args     map[string][]string
}

// betterThan prefers the form of which more literals match: `wgd check` without a file
// is an incomplete `check`, not an interface of that name.
func (m matchResult) betterThan(n matchResult) bool {
	if m.literals != n.literals {
		return m.literals > n.literals
	}
	if m.complete != n.complete {
		return m.complete
	}
	return m.used > n.used
}

func (m matchResult) asGoodAs(n matchResult) bool { return !m.betterThan(n) && !n.betterThan(m) }

// matchWords matches typed words with a syntax, with and without its optional words.
func matchWords(syntax []word, typed []string) matchResult {
	return matchFrom(syntax, typed, matchResult{args: map[string][]string{}})
}

func matchFrom(syntax []word, typed []string, soFar matchResult) matchResult {
	for len(syntax) > 0 && syntax[0].marker {
		syntax = syntax[1:]
	}
	if len(syntax) == 0 || syntax[0].anything {
		soFar.complete = len(typed) == 0 || len(syntax) > 0
		return soFar
	}
	var without matchResult
	if w := syntax[0]; w.opens {
		without = matchFrom(afterBrackets(syntax), typed, soFar)
	}
	with := matchOne(syntax, typed, soFar)
	if syntax[0].opens && without.complete && !with.complete {
		return without
	}
	if syntax[0].opens && without.betterThan(with) {
		return without
	}
	return with
}

// matchOne matches the first word of the syntax, and then the rest.
func matchOne(syntax []word, typed []string, soFar matchResult) matchResult {
	w := syntax[0]
	if len(typed) == 0 || !w.is(typed[0]) {
		return soFar
	}
	count := 1
	if w.repeat {
		count = len(typed)
	}
	args := map[string][]string{w.text: typed[:count]}
	for name, words := range soFar.args {
		args[name] = words
	}
	soFar.args = args
	soFar.used += count
	if w.literal {
		soFar.literals++
	}
	return matchFrom(syntax[1:], typed[count:], soFar)
}

// afterBrackets returns the syntax after its first brackets.
func afterBrackets(syntax []word) []word {
	for i, w := range syntax {
		if w.closes {
			return syntax[i+1:]
		}
	}
	return nil
}

// match finds the form that matches the arguments, and checks its options.
func (c *Command) match(args []string) (*Call, error) {
	words, given, named, err := c.split(args)
	if err != nil {
		return nil, err
	}
	steps, err := c.steps(words)
	if err != nil {
		return nil, err
	}
	var call *Call
	if steps != nil {
		call = steps[0]
		call.steps = steps
	} else {
		forms, best := closest(c.formsFor(named), words)
		if !best.complete {
			return nil, &usageError{message: describeMismatch(words, best), forms: forms}
		}
		call = &Call{Command: c, Form: forms[0], args: best.args, options: map[string][]string{}}
	}
	for _, g := range given {
		if !c.takes(call.Form, g.option) {
			return call, Usagef("%s cannot be used here", quote.Name(g.typed))
		}
		call.options[g.option.name()] = append(call.options[g.option.name()], g.value)
	}
	return call, nil
}

// closest returns the forms that match the words best: several, if they match equally
// well.
func closest(candidates []*Form, words []string) (forms []*Form, best matchResult) {
	for _, form := range candidates {
		m := matchWords(parseSyntax(form.Syntax), words)
		switch {
		case len(forms) == 0 || m.betterThan(best):
			forms, best = []*Form{form}, m
		case m.asGoodAs(best) && !form.Hidden:
			forms = append(forms, form)
		}
	}
	return forms, best
}

// formsFor returns the candidates: if the first word is a name (named), the forms that
// do not begin with a literal.
func (c *Command) formsFor(named bool) []*Form {
	forms := c.forms()
	if !named {
		return forms
	}
	return slices.DeleteFunc(forms, func(f *Form) bool {
		words := parseSyntax(f.Syntax)
		return len(words) > 0 && words[0].literal
	})
}

// forms returns the command's own forms, and those that every command has.
func (c *Command) forms() []*Form {
	forms := make([]*Form, 0, len(c.Forms)+1)
	for i := range c.Forms {
		forms = append(forms, &c.Forms[i])
	}
	return append(forms, &completionForm)
}

// visible returns the forms that the help and the manual show.
func (c *Command) visible() []*Form {
	var forms []*Form
	for _, form := range c.forms() {
		if !form.Hidden {
			forms = append(forms, form)
		}
	}
	return forms
}

// describeMismatch describes why words match no form.
func describeMismatch(words []string, best matchResult) string {
	switch {
	case len(words) == 0:
		return "an argument is missing"
	case best.used == len(words):
		return "an argument is missing after " + inQuotes(words[len(words)-1])
	case key.IsEncoded(words[best.used]):
		return "there is a key where none is expected"
	}
	return inQuotes(words[best.used]) + " is not expected here"
}

// inQuotes returns the word in quotation marks. It does not repeat a word that is or may
// be a key: it may be a secret that was typed instead of the name of its file.
func inQuotes(word string) string {
	switch {
	case key.IsEncoded(word):
		return "the key"
	case quote.LooksLikeKey(word):
		return fmt.Sprintf("the word of %d characters", len(word))
	}
	return strconv.Quote(quote.Path(word))
}
