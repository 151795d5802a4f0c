package cli

import (
	"fmt"
	"strings"
)

// usage returns the usage lines of the forms, as they follow a usage error.
func (c *Command) usage(forms []*Form) string {
	var b strings.Builder
	head := "usage: "
	for _, form := range forms {
		if form.Hidden {
			continue
		}
		fmt.Fprintf(&b, "%s%s\n", head, c.synopsis(form))
		head = "       "
	}
	return b.String()
}

// synopsis returns the usage line of one form.
func (c *Command) synopsis(form *Form) string {
	var options []string
	for _, o := range c.optionsOf(form) {
		options = append(options, "["+o.usage()+"]")
	}
	line := []string{c.Name}
	inserted := false
	for text := range strings.FieldsSeq(form.Syntax) {
		if text == "OPTIONS" {
			line, inserted = append(line, options...), true
			continue
		}
		line = append(line, text)
	}
	if !inserted {
		line = append(line, options...)
	}
	return strings.Join(line, " ")
}

// help returns what --help prints: about the forms that match the words before it, or
// about the whole command.
func (c *Command) help(args []string) string {
	var words []string
	for _, arg := range args {
		if !strings.HasPrefix(arg, "-") || c.isLiteral(arg) {
			words = append(words, arg)
		}
	}
	forms, best := closest(c.forms(), words)
	var b strings.Builder
	if best.literals == 0 {
		forms = c.visible()
		fmt.Fprintf(&b, "%s - %s\n\n", c.Name, c.Summary)
	}
	c.helpForms(&b, forms)
	if best.literals == 0 {
		fmt.Fprintf(&b, "\nManual: man %s\n", c.Name)
	}
	return b.String()
}

func (c *Command) helpForms(b *strings.Builder, forms []*Form) {
	seen := map[string]bool{}
	var options []Option
	for _, form := range forms {
		if form.Hidden {
			continue
		}
		fmt.Fprintf(b, "%s\n    %s\n", c.synopsis(form), sentence(form.Summary))
		for _, o := range c.optionsOf(form) {
			if !seen[o.name()] {
				seen[o.name()] = true
				options = append(options, o)
			}
		}
	}
	if len(options) > 0 {
		b.WriteString("\nOptions:\n")
	}
	for _, o := range options {
		terms := o.terms()
		if len(terms) > termsWidth {
			terms += "\n" + strings.Repeat(" ", 2+termsWidth)
		}
		fmt.Fprintf(b, "  %-*s %s\n", termsWidth, terms, sentence(o.Text))
	}
	c.helpExamples(b, forms)
}

// helpExamples prints a command line of each form.
func (c *Command) helpExamples(b *strings.Builder, forms []*Form) {
	title := "\nExample:\n"
	if len(forms) > 1 {
		title = "\nExamples:\n"
	}
	for _, form := range forms {
		if form.Example != "" && !form.Hidden {
			fmt.Fprintf(b, "%s  %s\n", title, c.exampleOf(form))
			title = ""
		}
	}
}

// exampleOf returns the example of a form. COMMAND in it stands for the name of the
// command, in forms that several have.
func (c *Command) exampleOf(form *Form) string {
	return strings.ReplaceAll(form.Example, "COMMAND", c.Name)
}

// termsWidth is the width of the names of options; longer ones have a line of their own.
const termsWidth = 28

// terms returns all names of an option: "-f, --foreground".
func (o Option) terms() string {
	if o.Short != 0 && o.Long != "" {
		return fmt.Sprintf("-%c, %s", o.Short, o.usage())
	}
	return o.usage()
}
