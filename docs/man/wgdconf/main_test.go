package main

import (
	"strings"
	"testing"

	"wgd/internal/cli"
	"wgd/internal/wgconf"
)

// The examples in the page are valid files.
func TestExamplesAreValid(t *testing.T) {
	for _, example := range page().Examples {
		text := strings.Join(example.Lines, "\n") + "\n"
		file, problems := wgconf.Parse([]byte(text)).Decode(wgconf.Env{Credentials: "/run/credentials"})
		if file == nil || len(problems) > 0 {
			t.Errorf("%s\n%s%v", example.Text, text, problems)
		}
	}
}

// The page has every directive, and says which are not those of wg-quick.
func TestPageHasEveryDirective(t *testing.T) {
	text := string(cli.ManFilePage(page()))
	for _, d := range append(wgconf.InterfaceDirectives(), wgconf.PeerDirectives()...) {
		mark := ""
		if d.Comment {
			mark = "# "
		}
		if !strings.Contains(text, "\n.TP\n\\fB"+mark+d.Name+"\\fR = \\fI") {
			t.Errorf("there is no entry for %s", d.Name)
		}
	}
	if n := strings.Count(text, "A directive of wgd; wg\\-quick refuses it."); n != 3 {
		t.Errorf("%d directives are refused by wg-quick, want 3", n)
	}
	if n := strings.Count(text, "A directive of wgd; wg\\-quick ignores it."); n != 2 {
		t.Errorf("%d directives are ignored by wg-quick, want 2", n)
	}
}
