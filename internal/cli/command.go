// Package cli is what every command of this project has in common: a Command
// is a table that says what may be typed and what it does, and from that one
// table come the dispatch, --help, the usage line of a usage error, the man
// page and the shell completion. So they cannot disagree.
//
// The conventions: results go to standard output, everything else to standard
// error. An error is `NAME: what was wrong: what to do`, exit status 1. A usage
// error prints that and the usage line of the form that was meant, exit status 2.
package cli

import "io"

// Command is everything a person may know about one command.
type Command struct {
	Name        string            // "wgconfig"
	Summary     string            // one line without a full stop: "configure a wg interface"
	Description []string          // paragraphs
	Forms       []Form            // the ways to call it, in the order of the manual
	Options     []Option          // those that every form takes
	Placeholder map[string]string // what a placeholder of the forms stands for, for the manual
	Files       []Entry
	Environment []Entry
	Exit        []Entry // beyond 0, 1 and 2, which every command has
	Examples    []Example
	SeeAlso     []string // "wgd(8)"
	Build       []string // lines that --version has after the release

	// Steps runs the forms that follow each other in one command, where there
	// are such (Form.Step): they share the streams of c.
	Steps func(c *Call, steps []*Call) error

	// Complete gives the words that may stand for a placeholder, given the
	// words before it; nil where the placeholder is not in the map. The word
	// FilesHere means: the names of files.
	Complete map[string]func(before []string) []string
}

// FilesHere as a word of completion lets the shell offer the names of files.
const FilesHere = ":files"

// Form is one way to call a command.
type Form struct {
	// Syntax is what may be typed after the name of the command. A word in
	// lower case (or with a leading -) is typed as it stands; several joined
	// by | are a choice. A word in upper case is a placeholder; with ... after
	// it, one or more words. Words in brackets may be left out. OPTIONS marks
	// where the usage line shows the options; without it they come last.
	//
	//	INTERFACE [show all]
	//	INTERFACE sysctl OPTIONS NAME[=VALUE]...
	Syntax  string
	Options []Option
	Summary string   // one line: "add a peer"
	Text    []string // more paragraphs, for the manual
	Hidden  bool     // neither in the help nor in the manual
	Step    bool     // after the first word, others may follow it: Command.Steps runs them
	Run     func(c *Call) error
}

// Option is one option of a form: --Long, --Long=Value or -Short.
type Option struct {
	Long  string // "endpoint", without the dashes; "" for one that is only short
	Short byte   // 'f'; 0 for one that is only long
	Value string // what its value stands for: "HOST:PORT"; "" for one without
	Text  string // a sentence
}

// Entry is a term and its explanation in a list of the manual.
type Entry struct{ Term, Text string }

// Example is an explanation and the lines that one types.
type Example struct {
	Text  string
	Lines []string
}

// Call is one call of a form: what was typed, and the three streams.
type Call struct {
	Command *Command
	Form    *Form
	Stdin   io.Reader
	Stdout  io.Writer
	Stderr  io.Writer

	steps   []*Call // itself and those that follow it in the same command
	args    map[string][]string
	options map[string][]string // by long name, or the short letter of one without
}

// Arg is the word that stands for a placeholder or a choice of the form's
// syntax, named as it is written there without brackets and dots; "" when it
// was left out.
func (c *Call) Arg(name string) string {
	if words := c.args[name]; len(words) > 0 {
		return words[0]
	}
	return ""
}

// Args are the words for a placeholder with dots.
func (c *Call) Args(name string) []string { return c.args[name] }

// Has reports whether an option was given.
func (c *Call) Has(option string) bool { return len(c.options[option]) > 0 }

// Value is the value of an option, the last one where it was given more than
// once, and whether it was given: an empty value is one, too.
func (c *Call) Value(option string) (value string, given bool) {
	values := c.options[option]
	if len(values) == 0 {
		return "", false
	}
	return values[len(values)-1], true
}
