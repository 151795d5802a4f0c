package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"wgd/key"
)

// The exit statuses of every command.
const (
	exitOK    = 0
	exitError = 1
	exitUsage = 2
)

// Main runs the command with the arguments and streams of the process, and exits.
func Main(command *Command) {
	os.Exit(Run(command, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// Run runs the command and returns its exit status.
func Run(command *Command, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	if done, err := builtin(command, args, stdout); done {
		return report(command, nil, err, stderr)
	}
	call, err := command.match(args)
	if err == nil {
		call.Stdin, call.Stdout, call.Stderr = stdin, stdout, stderr
		if err = key.Permitted(); err == nil {
			err = call.run()
		}
	}
	return report(command, call, err, stderr)
}

func (c *Call) run() error {
	if c.steps == nil {
		return c.Form.Run(c)
	}
	return c.Command.Steps(c, c.steps)
}

// A Status is an error that ends the command with that exit status and without
// a message.
type Status int

func (s Status) Error() string { return fmt.Sprintf("exit status %d", int(s)) }

// A usageError is an error in the command line. It is printed with the usage lines of
// the forms that may have been meant.
type usageError struct {
	message string
	forms   []*Form // nil: the form of the call
}

func (e *usageError) Error() string { return e.message }

// Usagef returns a usage error: the command exits with 2 and prints the usage line of
// the form.
func Usagef(format string, args ...any) error {
	return &usageError{message: fmt.Sprintf(format, args...)}
}

// UsageOf is Usagef with the usage lines of other forms.
func UsageOf(forms []*Form, format string, args ...any) error {
	return &usageError{message: fmt.Sprintf(format, args...), forms: forms}
}

// report prints the error and returns its exit status.
func report(command *Command, call *Call, err error, stderr io.Writer) int {
	var status Status
	var usage *usageError
	switch {
	case err == nil:
		return exitOK
	case errors.As(err, &status):
		return int(status)
	case !errors.As(err, &usage):
		PrintError(stderr, command.Name, err)
		return exitError
	}
	PrintError(stderr, command.Name, err)
	forms := usage.forms
	if len(forms) == 0 && call != nil {
		forms = []*Form{call.Form}
	}
	fmt.Fprint(stderr, command.usage(forms))
	return exitUsage
}

// PrintError prints an error as all commands do. Errors joined by errors.Join have a
// line each.
func PrintError(stderr io.Writer, name string, err error) {
	for line := range strings.Lines(err.Error()) {
		fmt.Fprintf(stderr, "%s: %s\n", name, strings.TrimRight(line, "\n"))
	}
}

// Warnf prints a warning on standard error. The command continues.
func (c *Call) Warnf(format string, args ...any) {
	fmt.Fprintf(c.Stderr, "%s: warning: %s\n", c.Command.Name, fmt.Sprintf(format, args...))
}

// builtin handles what all commands share: --help, --version, --man, and completion.
func builtin(command *Command, args []string, stdout io.Writer) (done bool, err error) {
	if len(args) > 0 && args[0] == completeWord {
		var words strings.Builder
		for _, word := range command.complete(args[1:]) {
			fmt.Fprintln(&words, word)
		}
		return true, write(stdout, words.String())
	}
	for _, arg := range args {
		switch arg {
		case "--":
			return false, nil
		case "--help", "-h":
			return true, write(stdout, command.help(args))
		case "--version":
			lines := []string{command.Name + " " + Version()}
			if command.Build != nil {
				lines = append(lines, command.Build()...)
			}
			return true, write(stdout, strings.Join(lines, "\n")+"\n")
		case "--man":
			if err := Check(command); err != nil {
				panic(err) // a fault of the program
			}
			return true, write(stdout, string(ManPage(command)))
		}
	}
	return false, nil
}

func write(w io.Writer, text string) error {
	_, err := io.WriteString(w, text)
	return err
}
