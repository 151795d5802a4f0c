package cli

// Several forms marked Step may follow each other in one command, after the first
// word, which they share: `wg-ifconfig wg0 create inet 10.2.0.1/24 up`. Each is matched
// with as many words as possible. Command.Steps gets all of them together, so that it
// can check all before it runs the first.

// steps finds the steps that the words consist of. found is nil if there is no step at
// the beginning.
func (c *Command) steps(words []string) (found []*Call, err error) {
	if c.Steps == nil || len(words) < 2 {
		return nil, nil
	}
	first, rest := words[:1], words[1:]
	for len(rest) > 0 {
		step, near, best := c.longestStep(rest)
		if step == nil && found == nil && best.literals == 0 {
			return nil, nil
		}
		if step == nil {
			if best.literals == 0 {
				near = c.stepForms()
			}
			return nil, &usageError{message: describeMismatch(rest, best), forms: near}
		}
		call := &Call{Command: c, Form: step, args: best.args, options: map[string][]string{}}
		call.args[parseSyntax(step.Syntax)[0].text] = first
		found = append(found, call)
		rest = rest[best.used:]
	}
	return found, nil
}

// longestStep returns the step at the beginning of words. If there is none, near are
// the steps that match best.
func (c *Command) longestStep(words []string) (step *Form, near []*Form, best matchResult) {
	for _, form := range c.stepForms() {
		m := matchPrefix(parseSyntax(form.Syntax)[1:], words)
		if m.complete && (step == nil || m.used > best.used) {
			step, best = form, m
			continue
		}
		switch {
		case step != nil || m.complete:
		case len(near) == 0 || m.betterThan(best):
			near, best = []*Form{form}, m
		case m.asGoodAs(best):
			near = append(near, form)
		}
	}
	return step, near, best
}

func (c *Command) stepForms() []*Form {
	var forms []*Form
	for _, form := range c.forms() {
		if form.Step {
			forms = append(forms, form)
		}
	}
	return forms
}

// matchPrefix matches the syntax with the beginning of the words.
func matchPrefix(syntax []word, typed []string) matchResult {
	return matchFrom(append(syntax[:len(syntax):len(syntax)], anything), typed, matchResult{args: map[string][]string{}})
}

// anything ends a syntax that other words may follow.
var anything = word{text: "...", anything: true}
