package main

import (
	"strings"
	"testing"
	"time"

	"wgd/conf"
	"wgd/internal/cli"
	"wgd/internal/live"
	"wgd/internal/sys/term/termtest"
	"wgd/internal/top"
	"wgd/key"
)

// Without a terminal, wgd top -n prints the list so many times; wgd top says what to run
// instead.
func TestTopWithoutTerminal(t *testing.T) {
	statusOfTwo(t)
	t.Setenv("LC_ALL", "C.UTF-8")
	status, out, errs := run("top", "-n", "2")
	if status != 0 || errs != "" || strings.Count(out, "2 interfaces, 2 peers: 1 works, 1 never-used\n") != 2 || strings.Count(out, "\nB ") != 2 ||
		strings.Count(out, "wg1 down") != 2 || strings.Contains(out, "\x1b") {
		t.Errorf("exit status %d, %q\n%s", status, errs, out)
	}
	if status, out, _ := run("top", "-n", "1", "wg2"); status != 0 || !strings.Contains(out, "wg2: no such interface") {
		t.Errorf("an interface that is missing: exit status %d\n%s", status, out)
	}
	for args, want := range map[string]string{"top": "wgd top needs a terminal: run wgd top -n 1", "top -n 0": "count 0: give a number from 1 on", "top -n x": "count x:"} {
		if status, out, errs := run(strings.Fields(args)...); status == 0 || out != "" || !strings.Contains(errs, want) {
			t.Errorf("wgd %s: exit status %d, %q, %q, want %q", args, status, out, errs, want)
		}
	}
}

func TestTopOnDumbTerminal(t *testing.T) {
	t.Setenv("TERM", "dumb")
	tty, _ := termtest.Open(t, 80)
	var errs strings.Builder
	if status := cli.Run(command(), []string{"top"}, tty, tty, &errs); status != 1 || !strings.Contains(errs.String(), "TERM=dumb") {
		t.Errorf("exit status %d, %q", status, errs.String())
	}
}

// The peer that is shown is explained with what concerns its interface as well. A poll
// leaves no secret behind.
func TestTopPoll(t *testing.T) {
	statusOfTwo(t)
	shown := top.Shown{Wanted: true, ID: live.ID{Interface: "wg0", Key: key.Public{2}}}
	p := pollTop([]string{"wg0"}, shown)
	if p.Explained == nil || p.Explained.ID != shown.ID || !strings.Contains(p.Explained.Text, "never used") || len(p.Explained.Reasons) == 0 {
		t.Errorf("explained is %+v", p.Explained)
	}
	if p.Took <= 0 || len(p.Statuses) != 1 || p.Statuses[0].PrivateKey.IsZero() {
		t.Fatalf("the poll is %+v", p.Poll)
	}
	p.update(top.New(top.Options{}))
	if !p.Statuses[0].PrivateKey.IsZero() {
		t.Error("the private key was not erased")
	}
	shown.ID.Key = key.Public{3}
	if p := pollTop(nil, shown); p.Explained != nil || len(p.Names) != 2 {
		t.Errorf("a peer that is gone is explained: %+v", p.Explained)
	}
	if explainShown(time.Now(), &conf.Status{}, shown) != nil {
		t.Error("a peer of nothing is explained")
	}
}

func TestLocale(t *testing.T) {
	for _, c := range []struct {
		all, ctype, lang string
		want             bool
	}{
		{"", "", "", false}, {"C", "", "en_GB.UTF-8", false}, {"", "de_DE.utf8", "C", true}, {"", "", "en_GB.UTF-8", true}, {"", "", "POSIX", false},
	} {
		t.Setenv("LC_ALL", c.all)
		t.Setenv("LC_CTYPE", c.ctype)
		t.Setenv("LANG", c.lang)
		if got := localeUTF8(); got != c.want {
			t.Errorf("%+v: %v", c, got)
		}
	}
}
