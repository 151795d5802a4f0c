package cli

import (
	"errors"
	"fmt"
	"strings"
)

// Check reports what is missing or contradictory in a command's table. A test of
// every command calls it, and --man does before it prints the page.
func Check(c *Command) error {
	var wrong []error
	add := func(format string, args ...any) {
		wrong = append(wrong, fmt.Errorf(format, args...))
	}
	if c.Name == "" || c.Summary == "" || len(c.Description) == 0 || len(c.Forms) == 0 {
		add("%s: name, summary, description or forms are missing", c.Name)
	}
	for _, name := range c.placeholderNames() {
		if c.Placeholder[name] == "" {
			add("%s: placeholder %s is not explained", c.Name, name)
		}
	}
	meanings := map[string]Option{"help": {}, "version": {}, "man": {}}
	for i := range c.Forms {
		form := &c.Forms[i]
		if (form.Run == nil) != form.Step || form.Summary == "" && !form.Hidden {
			add("%s %s: summary or action is missing", c.Name, form.Syntax)
		}
		if err := c.checkExample(form); err != nil && !form.Hidden {
			add("%s %s: %w", c.Name, form.Syntax, err)
		}
		for _, o := range c.optionsOf(form) {
			if other, had := meanings[o.name()]; had && other != o {
				add("%s: option %s has two meanings", c.Name, o.usage())
			}
			meanings[o.name()] = o
			if o.Text == "" {
				add("%s: option %s is not explained", c.Name, o.usage())
			}
		}
	}
	return errors.Join(wrong...)
}

// checkExample reports an example that is missing, or that is not a command line of the
// form.
func (c *Command) checkExample(form *Form) error {
	line, _, _ := strings.Cut(c.exampleOf(form), " >")
	line, _, _ = strings.Cut(line, " <")
	words := strings.Fields(line)
	if len(words) == 0 || words[0] != c.Name {
		return fmt.Errorf("the example %q does not begin with %s", line, c.Name)
	}
	call, err := c.match(words[1:])
	if err != nil {
		return fmt.Errorf("the example %q: %w", line, err)
	}
	if call.Form.Syntax != form.Syntax {
		return fmt.Errorf("the example %q is one of the form %s", line, call.Form.Syntax)
	}
	return nil
}
