package main

import (
	"io"
	"os"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"wgd/internal/cli"
)

// The demo shows a handshake, pings over IPv4 and IPv6, a web page in each direction, a
// stream, and the status of both ends, in this order. It ends without a signal.
func TestDemo(t *testing.T) {
	defer func(d time.Duration) { demoTime = d }(demoTime)
	demoTime = 300 * time.Millisecond
	begun := time.Now()
	status, stdout, stderr := run("demo")
	if status != 0 || stderr != "" {
		t.Fatalf("exit status %d\n%s%s", status, stdout, stderr)
	}
	if took := time.Since(begun); took > time.Minute {
		t.Errorf("it took %v", took)
	}
	rest := stdout
	for _, want := range []string{
		"\n1. Each makes a key pair", "\n   A  ", "\n   B  ", "\n2. Each adds the other", "\n3. B pings A", "is back after",
		"\n4. More pings", "10.2.0.1    5 pings, 5 answers", "fd00:2::1   5 pings, 5 answers",
		"\n5. Each reads a web page", `"Hello 10.2.0.42, this is A"`, `"Hello 10.2.0.1, this is B"`,
		"\n6. B sends a TCP stream", "MB arrived in", "\n7. At A", "peer: B", "latest-handshake: ", "\n8. At B", "peer: A", "wgd up wg0",
	} {
		_, after, found := strings.Cut(rest, want)
		if !found {
			t.Fatalf("the output does not contain %q, or in another order:\n%s", want, stdout)
		}
		rest = after
	}
	if strings.Contains(stdout, " 0 MB arrived") {
		t.Error("no byte of the stream arrived")
	}
	if all, hidden := strings.Count(stdout, "private-key: "), strings.Count(stdout, "private-key: (hidden)"); all == 0 || all != hidden {
		t.Errorf("%d lines with a private key, %d of them hidden, want all", all, hidden)
	}
	if strings.ContainsAny(stdout, "\x1b\r") {
		t.Error("this is no terminal, and the output has control sequences")
	}
	for line := range strings.SplitSeq(stdout, "\n") {
		if width := utf8.RuneCountInString(strings.ReplaceAll(line, "\t", strings.Repeat(" ", 8))); width > 80 {
			t.Errorf("a line has %d columns: %s", width, line)
		}
	}
}

func demoCall() *cli.Call {
	return &cli.Call{Command: command(), Stdout: io.Discard, Stderr: io.Discard}
}

func TestBar(t *testing.T) {
	for elapsed, want := range map[time.Duration]int{0: 0, time.Second: 10, 3 * time.Second: 30, 9 * time.Second: 30} {
		got := bar(elapsed, 3*time.Second)
		if len(got) != 32 || strings.Count(got, "#") != want {
			t.Errorf("%v: got %s, want %d marks of 30", elapsed, got, want)
		}
	}
}

// Headings are bold on a terminal only, and there not if NO_COLOR is set.
func TestHeadings(t *testing.T) {
	for bold, want := range map[bool]string{false: "\n1. Text\n", true: "\n\x1b[1m1. Text\x1b[m\n"} {
		var out strings.Builder
		d := &demo{Call: demoCall(), bold: bold}
		d.Stdout = &out
		d.heading("Text")
		if out.String() != want {
			t.Errorf("bold %t: got %q, want %q", bold, out.String(), want)
		}
	}
	if coloured(io.Discard) {
		t.Error("colours are for terminals")
	}
	terminal, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer terminal.Close()
	for _, c := range []struct {
		term, noColor string
		want          bool
	}{{"xterm", "", true}, {"xterm", "1", false}, {"dumb", "", false}} {
		t.Setenv("TERM", c.term)
		t.Setenv("NO_COLOR", c.noColor)
		if got := coloured(terminal); got != c.want {
			t.Errorf("TERM=%s NO_COLOR=%s: got %t, want %t", c.term, c.noColor, got, c.want)
		}
	}
}
