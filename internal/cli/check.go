package cli

import (
	"errors"
	"fmt"
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
