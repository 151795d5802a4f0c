package proxyconf

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"wgd/internal/wgconf"
)

// A Problem is an error in a file, or something doubtful. File is the file.
type Problem struct {
	File string
	wgconf.Problem
}

// String returns the problem with its file and line.
func (p Problem) String() string { return p.In(p.File) }

// Problems are all problems that Read has found, in the order of the lines.
type Problems []Problem

// HasErrors reports whether one of the problems is no warning.
func (list Problems) HasErrors() bool {
	return slices.ContainsFunc(list, func(p Problem) bool { return !p.Warning })
}

// Err joins the errors among the problems. It returns nil if there is none.
func (list Problems) Err() error {
	var all []error
	for _, p := range list {
		all = append(all, wgconf.Problems{p.Problem}.Err(p.File))
	}
	return errors.Join(all...)
}

func (r *reader) add(line int, warning bool, format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	r.problems = append(r.problems, Problem{r.path, wgconf.Problem{Line: line, Warning: warning, Text: text}})
}

func (r *reader) errorf(line int, format string, args ...any) { r.add(line, false, format, args...) }
func (r *reader) warnf(line int, format string, args ...any)  { r.add(line, true, format, args...) }

// addAll adds problems that package wgconf has found.
func (r *reader) addAll(list wgconf.Problems) {
	for _, p := range list {
		r.problems = append(r.problems, Problem{r.path, p})
	}
}

// sort orders problems by lines. Those of an included file stay together, after those of
// the file that includes it.
func (list Problems) sort(main string) {
	slices.SortStableFunc(list, func(a, b Problem) int {
		if a.File != b.File {
			if a.File == main {
				return -1
			}
			return 1
		}
		return cmp.Compare(a.Line, b.Line)
	})
}
