package cli

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"wgd/key"
)

// word is one word of a syntax.
type word struct {
	text     string // without brackets and dots
	literal  bool   // typed as it stands, or one of a choice
	repeat   bool   // one or more
	optional bool   // in brackets
	opens    bool   // the first in its brackets
	closes   bool   // the last in its brackets
	marker   bool   // OPTIONS: no word, but the place of the options
	anything bool   // whatever follows: the syntax ends here
}

// parseSyntax cuts a syntax into its words.
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

// is reports whether what was typed is this word of the syntax.
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

// matchResult is how far typed words agree with a syntax.
type matchResult struct {
	complete bool
	used     int // typed words that agree
	literals int // how many of them are words typed as they stand
	args     map[string][]string
}

// betterThan prefers a form that agrees in more of its own words: `wgd up`
// without a file is a wrong `up`, not an interface of that name.
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

// matchWords tries the words typed against a syntax, with and without what
// may be left out.
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

// matchOne lets the first word of the syntax stand.
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

// afterBrackets is the syntax after its first brackets.
func afterBrackets(syntax []word) []word {
	for i, w := range syntax {
		if w.closes {
			return syntax[i+1:]
		}
	}
	return nil
}

// match finds the form that was meant, and takes the options.
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
			return call, Usagef("%s does not belong to this use of %s", g.typed, c.Name)
		}
		call.options[g.option.name()] = append(call.options[g.option.name()], g.value)
	}
	return call, nil
}

// closest is the form that agrees best with the words, first; several when
// they agree equally well.
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

// formsFor are the forms that may be meant: where a name comes first, those
// alone that do not begin with a word of their own.
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

// forms are the command's own, and those that every command has.
func (c *Command) forms() []*Form {
	forms := make([]*Form, 0, len(c.Forms)+1)
	for i := range c.Forms {
		forms = append(forms, &c.Forms[i])
	}
	return append(forms, &completionForm)
}

// visible are the forms that a person is told of.
func (c *Command) visible() []*Form {
	var forms []*Form
	for _, form := range c.forms() {
		if !form.Hidden {
			forms = append(forms, form)
		}
	}
	return forms
}

// describeMismatch says what is wrong with words that agree with no form.
func describeMismatch(words []string, best matchResult) string {
	switch {
	case len(words) == 0:
		return "an argument is missing"
	case best.used == len(words):
		return "something is missing after " + quote(words[len(words)-1])
	case key.IsEncoded(words[best.used]):
		return "a key stands where none belongs"
	}
	return quote(words[best.used]) + " is not understood here"
}

// quote is the word in quotation marks. What is or may be a key is not repeated:
// it may be a secret that was typed where a file belongs.
func quote(word string) string {
	switch {
	case key.IsEncoded(word):
		return "the key"
	case LooksLikeKey(word):
		return fmt.Sprintf("the word of %d characters", len(word))
	}
	return strconv.Quote(word)
}

// LooksLikeKey reports whether the word is, or nearly is, a key in base64 or in
// hexadecimal digits, and not the path of a file: then it must not be printed.
// Names of peers may look so, too.
func LooksLikeKey(word string) bool {
	const whole, nearly = 44, 40 // characters in base64
	if strings.Trim(word, keyCharacters) != "" {
		return false
	}
	return len(word) == whole && strings.HasSuffix(word, "=") || len(word) >= nearly && !strings.HasPrefix(word, "/")
}

const keyCharacters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/="
