package cli

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// sample returns a command with every kind of form, which prints what was called.
func sample() *Command {
	run := func(c *Call) error {
		fmt.Fprintf(c.Stdout, "%s:", c.Form.Syntax)
		for _, name := range []string{"INTERFACE", "NAME", "NAME[=VALUE]"} {
			if words := c.Args(name); words != nil {
				fmt.Fprintf(c.Stdout, " %s=%s", name, strings.Join(words, "+"))
			}
		}
		for _, name := range []string{"endpoint", "w", "json"} {
			if value, given := c.Value(name); given {
				fmt.Fprintf(c.Stdout, " --%s=%s", name, value)
			}
		}
		return nil
	}
	json := Option{Long: "json", Text: "Print JSON."}
	return &Command{
		Name: "sample", Summary: "show what was called", Description: []string{"It has `every` kind of form. And -dashes."},
		Forms: []Form{
			{Syntax: "INTERFACE [show all]", Options: []Option{json}, Summary: "show", Example: "sample wg0", Run: run},
			{Syntax: "INTERFACE show peer NAME", Options: []Option{json}, Summary: "show a peer", Example: "sample wg0 show peer B", Run: run},
			{Syntax: "INTERFACE add peer NAME", Summary: "add a peer", Example: "sample wg0 add peer B --endpoint=b.example:1", Run: run,
				Options: []Option{{Long: "endpoint", Value: "HOST:PORT", Text: "Where it is."}}},
			{Syntax: "INTERFACE sysctl OPTIONS [NAME[=VALUE]...]", Summary: "timers", Example: "sample wg0 sysctl -w a=1 > file", Run: run,
				Options: []Option{{Short: 'w', Text: "Write."}}},
			{Syntax: "up NAME", Summary: "start", Example: "sample up wg0", Run: run},
			{Syntax: "fail", Summary: "fail", Example: "sample fail", Run: func(*Call) error { return errors.New("x: broken: mend it") }},
			{Syntax: "misuse", Summary: "misuse", Example: "sample misuse", Run: func(*Call) error { return Usagef("not so") }},
			{Syntax: "status", Summary: "answer", Example: "sample status", Run: func(*Call) error { return Status(7) }},
		},
		Placeholder: map[string]string{"INTERFACE": "an interface", "NAME": "a name", "NAME[=VALUE]": "a timer"},
		Complete: map[string]func([]string) []string{
			"INTERFACE": func([]string) []string { return []string{"wg0", "wg1"} },
			"NAME": func(before []string) []string {
				return []string{"peer-of-" + before[0]}
			},
			"HOST:PORT": func([]string) []string { return []string{FilesHere} },
		},
		SeeAlso: []string{"other(8)", "wg(4)"},
	}
}

// steps returns a command whose forms may follow each other.
func steps() *Command {
	return &Command{
		Name: "steps", Summary: "do several things", Description: []string{"One after the other."},
		Forms: []Form{
			{Syntax: "[INTERFACE]", Summary: "show", Example: "steps wg0", Run: func(c *Call) error {
				fmt.Fprintf(c.Stdout, "show %s", c.Arg("INTERFACE"))
				return nil
			}},
			{Syntax: "-l", Summary: "list", Example: "steps -l", Run: func(c *Call) error { fmt.Fprint(c.Stdout, "list"); return nil }},
			{Syntax: "INTERFACE create", Summary: "make", Example: "steps wg0 create", Step: true},
			{Syntax: "INTERFACE inet ADDRESS [alias|-alias]", Summary: "add", Example: "steps wg0 inet 10.2.0.1/24", Step: true},
			{Syntax: "INTERFACE up|down", Summary: "set", Example: "steps wg0 up", Step: true},
		},
		Placeholder: map[string]string{"INTERFACE": "an interface", "ADDRESS": "an address"},
		Steps: func(c *Call, steps []*Call) error {
			for _, s := range steps {
				fmt.Fprintf(c.Stdout, "%s %s %s%s%s;", s.Arg("INTERFACE"), strings.Fields(s.Form.Syntax)[1],
					s.Arg("ADDRESS"), s.Arg("alias|-alias"), s.Arg("up|down"))
			}
			return nil
		},
	}
}

func call(c *Command, line string) (stdout, stderr string, status int) {
	var out, err bytes.Buffer
	status = Run(c, strings.Fields(line), strings.NewReader(""), &out, &err)
	return out.String(), err.String(), status
}

func TestDispatch(t *testing.T) {
	for _, c := range []struct{ line, want string }{
		{"wg0", "INTERFACE [show all]: INTERFACE=wg0"},
		{"wg0 show all", "INTERFACE [show all]: INTERFACE=wg0"},
		{"wg0 show all --json", "INTERFACE [show all]: INTERFACE=wg0 --json="},
		{"--json wg0", "INTERFACE [show all]: INTERFACE=wg0 --json="},
		{"-- up", "INTERFACE [show all]: INTERFACE=up"}, // a name, although it is also a literal
		{"--json -- fail", "INTERFACE [show all]: INTERFACE=fail --json="},
		{"-- fail show all", "INTERFACE [show all]: INTERFACE=fail"},
		{"up -- fail", "up NAME: NAME=fail"},
		{"wg0 show peer B", "INTERFACE show peer NAME: INTERFACE=wg0 NAME=B"},
		{"wg0 add peer B --endpoint=h:1", "INTERFACE add peer NAME: INTERFACE=wg0 NAME=B --endpoint=h:1"},
		{"wg0 add --endpoint h:1 peer B", "INTERFACE add peer NAME: INTERFACE=wg0 NAME=B --endpoint=h:1"},
		{"wg0 add peer B --endpoint=", "INTERFACE add peer NAME: INTERFACE=wg0 NAME=B --endpoint="},
		{"wg0 add peer B --endpoint=a --endpoint=b=c", "INTERFACE add peer NAME: INTERFACE=wg0 NAME=B --endpoint=b=c"},
		{"wg0 add peer -- --json", "INTERFACE add peer NAME: INTERFACE=wg0 NAME=--json"},
		{"wg0 sysctl", "INTERFACE sysctl OPTIONS [NAME[=VALUE]...]: INTERFACE=wg0"},
		{"wg0 sysctl -w a=1 b", "INTERFACE sysctl OPTIONS [NAME[=VALUE]...]: INTERFACE=wg0 NAME[=VALUE]=a=1+b --w="},
		{"up show", "up NAME: NAME=show"},
	} {
		stdout, stderr, status := call(sample(), c.line)
		if stdout != c.want || stderr != "" || status != 0 {
			t.Errorf("%s: got\n%s%s (exit status %d)\nwant %s", c.line, stdout, stderr, status, c.want)
		}
	}
}

// A usage error prints the usage line of the closest form, and exits with 2.
func TestUsageErrors(t *testing.T) {
	for _, c := range []struct{ line, want string }{
		{"wg0 add peer", `an argument is missing after "peer"
usage: sample INTERFACE add peer NAME [--endpoint=HOST:PORT]`},
		{"wg0 add peer B C", `"C" is not expected here
usage: sample INTERFACE add peer NAME [--endpoint=HOST:PORT]`},
		{"wg0 add peer B --json", `--json cannot be used here
usage: sample INTERFACE add peer NAME [--endpoint=HOST:PORT]`},
		{"wg0 add peer B --secret=xyzzy", `there is no option --secret
usage: sample INTERFACE add peer NAME [--endpoint=HOST:PORT]`},
		{"wg0 add peer B --endpoint", `--endpoint needs a value: HOST:PORT
usage: sample INTERFACE add peer NAME [--endpoint=HOST:PORT]`},
		{"wg0 show peer B --json=1", `--json takes no value
usage: sample INTERFACE show peer NAME [--json]`},
		{"wg0 show", `an argument is missing after "show"
usage: sample INTERFACE [show all] [--json]
       sample INTERFACE show peer NAME [--json]`},
		{"up", `an argument is missing after "up"
usage: sample up NAME`},
		{"misuse", "not so\nusage: sample misuse"},
	} {
		stdout, stderr, status := call(sample(), c.line)
		if want := "sample: " + c.want + "\n"; stdout != "" || stderr != want || status != 2 {
			t.Errorf("%s: exit status %d, got\n%s%s\nwant\n%s", c.line, status, stdout, stderr, want)
		}
	}
	if _, stderr, status := call(sample(), ""); status != 2 || strings.Count(stderr, "\n") < 9 {
		t.Errorf("without arguments: exit status %d, got %s", status, stderr)
	}
}

// Errors do not show a key that was typed in place of something else: it may be a
// secret, and errors may be logged.
func TestErrorsDoNotShowKeys(t *testing.T) {
	for k, want := range map[string]string{
		"ciXjarylMz6+6+8skLSsPCiFPWq2HiHu/Lf2ZgkCFC0=":      "there is a key where none is expected",
		"/iXjarylMz6+6+8skLSsPCiFPWq2HiHu/Lf2ZgkCFC0=":      "there is a key where none is expected",
		strings.Repeat("5f", 32):                            "there is a key where none is expected",
		"ciXjarylMz6+6+8skLSsPCiFPWq2HiHu/Lf2ZgkCFC0":       "the word of 43 characters is not expected here",
		"TheLaptopOfSomebodyWithAVeryLongNameInAccounting1": "the word of 49 characters is not expected here", // not a key
	} {
		for _, line := range []string{"wg0 show peer B " + k, "wg0 " + k, "up B " + k} {
			if _, stderr, status := call(sample(), line); status != 2 || !strings.HasPrefix(stderr, "sample: "+want+"\n") || strings.Contains(stderr, k) {
				t.Errorf("%s: exit status %d, got %s, want %s", line, status, stderr, want)
			}
		}
	}
}

// A failed write is an error, also of the help.
func TestWriteErrors(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer full.Close()
	for _, line := range []string{"--help", "--version", "--man", "completion bash", "__complete wg"} {
		var stderr bytes.Buffer
		status := Run(sample(), strings.Fields(line), strings.NewReader(""), full, &stderr)
		if want := "sample: write /dev/full: no space left on device\n"; status != 1 || stderr.String() != want {
			t.Errorf("%s: exit status %d, got %q, want %q", line, status, stderr.String(), want)
		}
	}
}

func TestErrorsAndStatuses(t *testing.T) {
	if _, stderr, status := call(sample(), "fail"); status != 1 || stderr != "sample: x: broken: mend it\n" {
		t.Errorf("fail: exit status %d, %q", status, stderr)
	}
	if _, stderr, status := call(sample(), "status"); status != 7 || stderr != "" {
		t.Errorf("status: exit status %d, %q, want 7", status, stderr)
	}
	var out bytes.Buffer
	PrintError(&out, "sample", errors.Join(errors.New("one"), errors.New("two")))
	if want := "sample: one\nsample: two\n"; out.String() != want {
		t.Errorf("two errors: got %q, want %q", out.String(), want)
	}
}

func TestSteps(t *testing.T) {
	for _, c := range []struct {
		line, want string
		status     int
	}{
		{"wg0", "show wg0", 0},
		{"", "show ", 0},
		{"-l", "list", 0},
		{"wg0 create", "wg0 create ;", 0},
		{"wg0 create inet 1 inet 2 -alias up", "wg0 create ;wg0 inet 1;wg0 inet 2-alias;wg0 up|down up;", 0},
		{"wg0 inet 1 alias down", "wg0 inet 1alias;wg0 up|down down;", 0},
		{"wg0 up inet", "", 2},
		{"wg0 up sideways", "", 2},
		{"wg0 nonsense", "", 2},
	} {
		stdout, stderr, status := call(steps(), c.line)
		if stdout != c.want || status != c.status || (stderr == "") != (status == 0) {
			t.Errorf("%s: exit status %d, got %q, want %d, %q; %s", c.line, status, stdout, c.status, c.want, stderr)
		}
	}
	_, stderr, _ := call(steps(), "wg0 up inet")
	if want := "steps: an argument is missing after \"inet\"\nusage: steps INTERFACE inet ADDRESS [alias|-alias]\n"; stderr != want {
		t.Errorf("got %q, want %q", stderr, want)
	}
}

func TestHelp(t *testing.T) {
	all, _, status := call(sample(), "--help")
	if status != 0 || !strings.HasPrefix(all, "sample - show what was called\n") || strings.Count(all, "sample ") < 9 {
		t.Error(all)
	}
	one, _, _ := call(sample(), "wg0 add peer --help")
	want := "sample INTERFACE add peer NAME [--endpoint=HOST:PORT]\n    Add a peer.\n\nOptions:\n  --endpoint=HOST:PORT         Where it is.\n\nExample:\n  sample wg0 add peer B --endpoint=b.example:1\n"
	if one != want {
		t.Errorf("help of one form: got %s, want %s", one, want)
	}
	wide := sample()
	wide.Forms[2].Options[0].Value = "HOST:PORT[,HOST:PORT]..."
	if one, _, _ := call(wide, "wg0 add peer --help"); !strings.Contains(one, "\n  --endpoint=HOST:PORT[,HOST:PORT]...\n                               Where it is.\n\nExample:\n  sample wg0 add peer B --endpoint=b.example:1\n") {
		t.Errorf("%s", one)
	}
	if version, _, status := call(sample(), "--version"); status != 0 || !strings.HasPrefix(version, "sample ") {
		t.Error(version)
	}
	built := sample()
	asked := 0
	built.Build = func() []string { asked++; return []string{"with: care", "by: hand"} }
	for _, line := range []string{"up wg0", "--help", "--man", "nonsense"} {
		if call(built, line); asked != 0 {
			t.Errorf("%s computes the lines of --version", line)
		}
	}
	if version, _, _ := call(built, "--version"); asked != 1 || !strings.HasSuffix(version, "\nwith: care\nby: hand\n") {
		t.Errorf("--version prints %q", version)
	}
	if got, _, _ := call(sample(), "up -- --help"); got != "up NAME: NAME=--help" {
		t.Error(got)
	}
}

func TestComplete(t *testing.T) {
	for _, c := range []struct {
		typed []string
		want  string
	}{
		{[]string{""}, "wg0 wg1 up fail misuse status completion"},
		{[]string{"w"}, "wg0 wg1"},
		{[]string{"wg0", ""}, "show add sysctl"},
		{[]string{"wg0", "show", ""}, "all peer"},
		{[]string{"wg0", "show", "peer", ""}, "peer-of-wg0"},
		{[]string{"wg0", "show", "peer", "x"}, ""},
		{[]string{"wg0", "add", "peer", "B", "-"}, "--endpoint= --help --version"},
		{[]string{"wg0", "add", "peer", "B", "--endpoint=/e"}, ":files"},
		{[]string{"wg0", "add", "peer", "B", "--endpoint", ""}, ":files"},
		{[]string{"wg0", "add", "peer", "B", "--endpoint", "=", "/e"}, ":files"}, // as bash splits it
		{[]string{"wg0", "--json", "show", ""}, "all peer"},
		{[]string{"completion", "b"}, "bash"},
		{nil, "wg0 wg1 up fail misuse status completion"},
	} {
		got := strings.Join(sample().complete(c.typed), " ")
		if got != c.want {
			t.Errorf("%q: got %s\nwant %s", c.typed, got, c.want)
		}
	}
	got := steps().complete([]string{"wg0", "create", "inet", "1", ""})
	for _, want := range []string{"create", "inet", "up", "down"} {
		if !slices.Contains(got, want) {
			t.Errorf("after a step: got %v, want %s among them", got, want)
		}
	}
}

// Bash itself runs the script.
func TestBashScript(t *testing.T) {
	if _, err := exec.LookPath("bash"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip("NOT TESTED: the completion script of bash, which is not installed")
	}
	script, _, _ := call(sample(), "completion bash")
	test := `sample() { if [[ $1 == __complete && $3 == f* ]]; then echo :files; else echo show; echo sysctl; fi; }
` + script + `
compopt() { :; }
COMP_WORDS=(sample wg0 s) COMP_CWORD=2; _sample_complete; echo "${COMPREPLY[@]}"
cd /; COMP_WORDS=(sample wg0 f = etc) COMP_CWORD=4; _sample_complete; echo "${COMPREPLY[@]}"`
	out, err := exec.Command("bash", "-c", test).CombinedOutput()
	if err != nil || !strings.HasPrefix(string(out), "show sysctl\netc") {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestScriptsOfOtherShells(t *testing.T) {
	for _, shell := range []string{"zsh", "fish"} {
		script, stderr, status := call(sample(), "completion "+shell)
		if status != 0 || stderr != "" || strings.Contains(script, "COMMAND") || !strings.Contains(script, "sample __complete") {
			t.Errorf("%s: %s%s", shell, script, stderr)
		}
		if _, err := exec.LookPath(shell); err != nil {
			if os.Getenv("CI") == "true" {
				t.Error(err)
			}
			t.Logf("NOT TESTED: the completion script of %s, which is not installed", shell)
			continue
		}
		cmd := exec.Command(shell, "-n")
		cmd.Stdin = strings.NewReader(script)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", shell, err, out)
		}
	}
	if _, _, status := call(sample(), "completion tcsh"); status != 2 {
		t.Errorf("completion tcsh: exit status %d, want 2", status)
	}
}

func TestCheck(t *testing.T) {
	if err := errors.Join(Check(sample()), Check(steps())); err != nil {
		t.Error(err)
	}
	bad := sample()
	delete(bad.Placeholder, "NAME")
	bad.Forms[0].Run = nil
	bad.Forms[1].Options = []Option{{Long: "json", Value: "X", Text: "Another."}}
	bad.Forms[2].Example = ""
	bad.Forms[3].Example = "sample wg0 sysctl -x"
	bad.Forms[4].Example = "sample fail"
	err := Check(bad)
	for _, want := range []string{"placeholder NAME", "action is missing", "two meanings",
		"add peer NAME: the example \"\" does not begin with sample", "there is no option -x", "is one of the form fail"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Check: got %v, want %q in it", err, want)
		}
	}
}

func TestManPage(t *testing.T) {
	page := string(ManPage(sample()))
	for _, want := range []string{
		".TH SAMPLE 8 ", "sample \\- show what was called\n",
		".SY sample\n\\fIINTERFACE\\fR \\fBadd\\fR \\fBpeer\\fR \\fINAME\\fR [\\fB\\-\\-endpoint\\fR=\\fIHOST:PORT\\fR]\n.YS\n",
		"It has \\fBevery\\fR kind of form.\nAnd \\-dashes.\n",
		".SH EXIT STATUS\n", ".BR other (8),\n.BR wg (4)\n",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page does not contain %q:\n%s", want, page)
		}
	}
	if got := escape(`.a\b-'`); got != `\&.a\eb\-\(aq` {
		t.Error(got)
	}
	for text, want := range map[string]string{"add a peer": "Add a peer.", "wg-quick does": "wg-quick does.", "1 means": "1 means.", "silent, error": "silent, error.", "So.": "So."} {
		if got := sentence(text); got != want {
			t.Errorf("sentence(%q): got %q, want %q", text, got, want)
		}
	}
}

// Progress prints nothing on other files and buffers.
func TestProgressIsForTerminalsOnly(t *testing.T) {
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	for _, w := range []io.Writer{&bytes.Buffer{}, null} {
		if Terminal(w) {
			t.Errorf("Terminal(%T): got true", w)
		}
	}
	var out bytes.Buffer
	c := &Call{Command: sample(), Stderr: &out}
	c.Progress("waiting")()
	if out.Len() != 0 {
		t.Errorf("Progress printed %q", out.String())
	}
}

func TestPrintJSONEscapesNoHTML(t *testing.T) {
	var out bytes.Buffer
	c := &Call{Stdout: &out}
	if err := c.PrintJSON(map[string]string{"a": "<b>&"}); err != nil || out.String() != "{\n  \"a\": \"<b>&\"\n}\n" {
		t.Errorf("%q %v", out.String(), err)
	}
}

// No command line makes Run panic.
func FuzzRun(f *testing.F) {
	for _, seed := range []string{"wg0 add peer B --endpoint=x", "-- -l", "__complete wg0 ", "wg0 create inet", "= == --=", "--help wg0 -"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, line string) {
		for _, c := range []*Command{sample(), steps()} {
			if _, _, status := call(c, line); status < 0 || status > 7 {
				t.Errorf("%q: exit status %d", line, status)
			}
		}
	})
}
