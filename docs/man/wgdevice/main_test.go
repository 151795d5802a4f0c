package main

import (
	"strings"
	"testing"

	"wgd/conf"
	"wgd/internal/cli"
)

// The page explains every tunable, and nothing else.
func TestPageHasEveryTunable(t *testing.T) {
	names := conf.TunableNames()
	if len(meanings) != len(names) {
		t.Errorf("the page explains %d tunables, want %d", len(meanings), len(names))
	}
	for _, e := range sysctls() {
		if e.Text == "" || strings.HasSuffix(e.Term, "= ") {
			t.Errorf("%s: its meaning or its default is missing", e.Term)
		}
	}
	if page := string(cli.ManFilePage(page())); !strings.HasPrefix(page, ".\\\" Generated") || !strings.Contains(page, ".TH WG 4 ") || !strings.Contains(page, names[0]) {
		t.Errorf("the page begins with %.200s", page)
	}
}
