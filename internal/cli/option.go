package cli

import (
	"fmt"
	"strings"

	"wgd/internal/quote"
)

// A typedOption is an option as it was typed.
type typedOption struct {
	option Option
	typed  string // with its dashes, without its value
	value  string
}

// name returns the key of the option in Call.options.
func (o Option) name() string {
	if o.Long != "" {
		return o.Long
	}
	return string(o.Short)
}

// usage returns the option as the usage line shows it: "--endpoint=HOST:PORT".
func (o Option) usage() string {
	switch {
	case o.Long == "" && o.Value != "":
		return fmt.Sprintf("-%c %s", o.Short, o.Value)
	case o.Long == "":
		return fmt.Sprintf("-%c", o.Short)
	case o.Value != "":
		return fmt.Sprintf("--%s=%s", o.Long, o.Value)
	}
	return "--" + o.Long
}

// split separates options from words. Options may be anywhere before "--". Literals
// of a syntax that begin with a dash (-alias) are words. If "--" comes before all
// words, named is true: the first word is a name, even if it is also a literal.
func (c *Command) split(args []string) (words []string, options []typedOption, named bool, err error) {
	for i := 0; i < len(args); i++ {
		arg := args[i]
		if arg == "--" {
			return append(words, args[i+1:]...), options, len(words) == 0, nil
		}
		if len(arg) < 2 || arg[0] != '-' || c.isLiteral(arg) {
			words = append(words, arg)
			continue
		}
		typed, value, joined := strings.Cut(arg, "=")
		option, known := c.option(typed)
		switch {
		case !known:
			return nil, nil, false, c.wrongOption(words, "there is no option %s", quote.Name(typed))
		case option.Value == "" && joined:
			return nil, nil, false, c.wrongOption(words, "%s takes no value", typed)
		case option.Value != "" && !joined:
			if i++; i == len(args) {
				return nil, nil, false, c.wrongOption(words, "%s needs a value: %s", typed, option.Value)
			}
			value = args[i]
		}
		options = append(options, typedOption{option, typed, value})
	}
	return words, options, false, nil
}

// wrongOption returns a usage error about the forms that match the words so far.
func (c *Command) wrongOption(words []string, format string, args ...any) error {
	forms, best := closest(c.forms(), words)
	if best.used == 0 {
		forms = c.visible()
	}
	return UsageOf(forms, format, args...)
}

// isLiteral reports whether the word is a literal of a form.
func (c *Command) isLiteral(arg string) bool {
	for _, form := range c.forms() {
		for _, w := range parseSyntax(form.Syntax) {
			if w.literal && w.is(arg) {
				return true
			}
		}
	}
	return false
}

// option finds an option by what was typed. A name has the same meaning in all forms
// of a command, which Check ensures.
func (c *Command) option(typed string) (Option, bool) {
	for _, form := range c.forms() {
		for _, o := range c.optionsOf(form) {
			if o.Long != "" && typed == "--"+o.Long || o.Short != 0 && typed == "-"+string(o.Short) {
				return o, true
			}
		}
	}
	return Option{}, false
}

// takes reports whether the form has the option.
func (c *Command) takes(form *Form, option Option) bool {
	for _, o := range c.optionsOf(form) {
		if o.name() == option.name() {
			return true
		}
	}
	return false
}

// optionsOf returns the options of the form and those of every form.
func (c *Command) optionsOf(form *Form) []Option {
	options := append([]Option{}, form.Options...)
	return append(options, c.Options...)
}
