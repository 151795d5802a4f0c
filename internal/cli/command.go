// Package cli implements what all commands of this project share. A Command is a
// table of the forms of its command line and of what they do. Dispatch, --help, usage
// lines, the manual page and shell completion all follow from that table, so they
// cannot disagree.
//
// The conventions: results go to standard output, everything else to standard
// error. An error is printed as `NAME: what was wrong: what to do`, with exit status
// 1. A usage error is followed by the usage line of the closest form, with exit
// status 2.
package cli

import "io"

// A Command describes one command.
type Command struct {
	Name        string            // "wgconfig"
	Summary     string            // one line without a full stop: "configure a wg interface"
	Description []string          // paragraphs
	Forms       []Form            // in the order of the manual
	Options     []Option          // those that every form has
	Placeholder map[string]string // what each placeholder of the forms means, for the manual
	Files       []Entry
	Environment []Entry
	Exit        []Entry // beyond 0, 1 and 2, which every command has
	Examples    []Example
	SeeAlso     []string // "wgd(8)"

	// Build returns lines that --version prints after the version. It is called for
	// nothing else, because the self-tests of fast code take a moment.
	Build func() []string

	// Steps runs several forms in one command, if there are forms with Step. They
	// use the streams of c.
	Steps func(c *Call, steps []*Call) error

	// Complete maps a placeholder to a function that returns the possible words for
	// it, given the words before it. The word FilesHere stands for file names.
	Complete map[string]func(before []string) []string
}

// FilesHere as a completion makes the shell offer file names, beside the other words.
const FilesHere = ":files"

// A Form is one form of a command's command line.
type Form struct {
	// Syntax is what may follow the name of the command. A word in lower case (or
	// with a leading -) is literal; several joined by | are a choice. A word in upper
	// case is a placeholder; followed by ... it stands for one or more words. Words
	// in brackets are optional. OPTIONS marks where the usage line shows the options,
	// by default at the end.
	//
	//	INTERFACE [show all]
	//	INTERFACE sysctl OPTIONS NAME[=VALUE]...
	Syntax  string
	Options []Option
	Summary string   // one line: "add a peer"
	Example string   // what may be typed, for the help: "wgconfig wg0 delete peer B"
	Text    []string // more paragraphs, for the manual
	Hidden  bool     // not shown in the help or the manual
	Step    bool     // other steps may follow; Command.Steps runs them
	Run     func(c *Call) error
}

// An Option is an option of a form: --Long, --Long=Value or -Short.
type Option struct {
	Long  string // "endpoint", without the dashes; "" if there is only a short form
	Short byte   // 'f'; 0 if there is only a long form
	Value string // placeholder of its value: "HOST:PORT"; "" if it has none
	Text  string // a sentence
}

// An Entry is a term and its explanation in a list of the manual.
type Entry struct{ Term, Text string }

// An Example is an explanation and the lines to type.
type Example struct {
	Text  string
	Lines []string
}

// A Call is one call of a form, with its arguments and the three streams.
type Call struct {
	Command *Command
	Form    *Form
	Stdin   io.Reader
	Stdout  io.Writer
	Stderr  io.Writer

	steps   []*Call // this one and those that follow in the same command
	args    map[string][]string
	options map[string][]string // by Option.name
}

// Arg returns the word that was typed for a placeholder or choice, which is named as
// in the form's syntax, without brackets and dots. It is "" if the word was left out.
func (c *Call) Arg(name string) string {
	if words := c.args[name]; len(words) > 0 {
		return words[0]
	}
	return ""
}

// Args returns the words that were typed for a placeholder with dots.
func (c *Call) Args(name string) []string { return c.args[name] }

// Has reports whether an option was given.
func (c *Call) Has(option string) bool { return len(c.options[option]) > 0 }

// Value returns the value of an option, the last one if it was given several times,
// and whether it was given. The value may be empty.
func (c *Call) Value(option string) (value string, given bool) {
	values := c.options[option]
	if len(values) == 0 {
		return "", false
	}
	return values[len(values)-1], true
}

// Values returns the values of an option, in their order.
func (c *Call) Values(option string) []string { return c.options[option] }
