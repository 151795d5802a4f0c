package cli

import (
	"fmt"
	"strings"
)

// typedOption is one option as it was typed.
type typedOption struct {
	option Option
	typed  string // with its dashes, without its value: a value may be long
	value  string
}

// name is what a Call knows the option by.
func (o Option) name() string {
	if o.Long != "" {
		return o.Long
	}
	return string(o.Short)
}

// usage is how the option is written: "--endpoint=HOST:PORT".
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

// split tells options from words. Options may stand anywhere before "--".
// Words of a syntax that begin with a dash (-alias) are words. With "--" before
// all words the first is a name, also if a syntax has this very word.
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
			return nil, nil, false, c.wrongOption(words, "there is no option %s", typed)
		case option.Value == "" && joined:
			return nil, nil, false, c.wrongOption(words, "%s takes no value", typed)
		case option.Value != "" && !joined:
			if i++; i == len(args) {
				return nil, nil, false, c.wrongOption(words, "%s needs its %s", typed, option.Value)
			}
			value = args[i]
		}
		options = append(options, typedOption{option, typed, value})
	}
	return words, options, false, nil
}

// wrongOption is a usage error about the forms that the words so far mean.
func (c *Command) wrongOption(words []string, format string, args ...any) error {
	forms, best := closest(c.forms(), words)
	if best.used == 0 {
		forms = c.visible()
	}
	return UsageOf(forms, format, args...)
}

// isLiteral reports whether a syntax has this very word.
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

// option finds an option by what was typed. One name has one meaning in all
// forms of a command (a test of every command says so).
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

// optionsOf are the options of the form and those of every form.
func (c *Command) optionsOf(form *Form) []Option {
	options := append([]Option{}, form.Options...)
	return append(options, c.Options...)
}
