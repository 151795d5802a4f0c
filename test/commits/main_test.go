package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// Messages have the form of CONTRIBUTING.md.
func TestMessage(t *testing.T) {
	const good = "core: a responder waits for confirmation"
	for _, c := range []struct{ message, fault string }{
		{good, ""},
		{good + "\n", ""},
		{good + "\n\nBecause.\n", ""},
		{"packet, sys/pages, sys/udp: comments say what holds", ""},
		{"CONTRIBUTING: an example", ""},
		{".ci/run: installs git", ""},
		{"core: " + strings.Repeat("é", 66), ""},
		{"core: " + strings.Repeat("é", 67), "73 characters"},
		{"a responder waits for confirmation", "not `room: what"},
		{"core:a responder waits", "not `room: what"},
		{"core: ", "not `room: what"},
		{"the core: a responder waits", "not `room: what"},
		{`Revert "core: a responder waits"`, "not `room: what"},
		{"", "not `room: what"},
		{good + "\nBecause.", "second line is not empty"},
		{good + "\n\n" + strings.Repeat("word ", 14) + "of", ""},
		{good + "\n\n" + strings.Repeat("word ", 14) + "one", "line 3 has 73 characters"},
		{good + "\n\nBecause.\n\n" + strings.Repeat("word ", 20), "line 5 has"},
		{good + "\n\n    " + strings.Repeat("figure ", 20), ""},
		{good + "\n\n\t" + strings.Repeat("figure ", 20), ""},
		{good + "\n\n  " + strings.Repeat("figure ", 20), "line 3 has"},
		{good + "\n\nhttps://example.org/" + strings.Repeat("x", 80), ""},
	} {
		faults := messageFaults(c.message)
		switch {
		case c.fault == "" && len(faults) > 0:
			t.Errorf("%q: %q", c.message, faults)
		case c.fault != "" && (len(faults) != 1 || !strings.Contains(faults[0], c.fault)):
			t.Errorf("%q: %q, want one fault with %q", c.message, faults, c.fault)
		}
	}
}

// repository returns a new repository with one commit for each message.
func repository(t *testing.T, messages ...string) (dir string, hashes []string) {
	t.Helper()
	if _, err := exec.LookPath("git"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip("NOT TESTED: which commits are checked: git is not installed")
	}
	dir = t.TempDir()
	for name, value := range map[string]string{
		"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null",
		"GIT_AUTHOR_NAME": "A", "GIT_AUTHOR_EMAIL": "a@example.org", "GIT_COMMITTER_NAME": "A", "GIT_COMMITTER_EMAIL": "a@example.org",
	} {
		t.Setenv(name, value)
	}
	run(t, dir, "init", "-q", "-b", "main")
	for _, m := range messages {
		hashes = append(hashes, add(t, dir, m))
	}
	return dir, hashes
}

func add(t *testing.T, dir, message string) (hash string) {
	t.Helper()
	run(t, dir, "commit", "-q", "--allow-empty", "-m", message)
	return run(t, dir, "rev-parse", "HEAD")
}

func run(t *testing.T, dir string, args ...string) string {
	t.Helper()
	out, err := git(dir, args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// writeSince writes the file that names the commit after which the rules apply.
func writeSince(t *testing.T, dir, hash string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, "since"), []byte(hash+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
}

// wantCheck compares the result of check, elsewhere and in CI, and looks for words in
// its report.
func wantCheck(t *testing.T, dir string, elsewhere, inCI bool, words ...string) {
	t.Helper()
	for ci, want := range map[bool]bool{false: elsewhere, true: inCI} {
		report, ok := check(dir, "since", ci)
		if ok != want {
			t.Errorf("in CI: %v; passes: %v, want %v: %s", ci, ok, want, report)
		}
		for _, word := range words {
			if !strings.Contains(report, word) {
				t.Errorf("in CI: %v; the report is %q, want %q in it", ci, report, word)
			}
		}
	}
}

// Commits after the one in the file are checked, others are not.
func TestBegins(t *testing.T) {
	dir, hashes := repository(t, "an old one", "another old one", "core: a good one")
	writeSince(t, dir, hashes[1])
	wantCheck(t, dir, true, true, "1 commits since "+hashes[1][:12])
	writeSince(t, dir, hashes[0])
	wantCheck(t, dir, false, false, hashes[1][:12], "another old one", "CONTRIBUTING.md")
	writeSince(t, dir, hashes[2])
	wantCheck(t, dir, true, true, "0 commits since "+hashes[2][:12])
	writeSince(t, dir, strings.Repeat("0", 40))
	wantCheck(t, dir, true, false, "NOT CHECKED", "does not have")
	writeSince(t, dir, "")
	wantCheck(t, dir, true, false, "NOT CHECKED")
	if err := os.Remove(filepath.Join(dir, "since")); err != nil {
		t.Fatal(err)
	}
	wantCheck(t, dir, true, false, "NOT CHECKED", "since")
}

// With a tag, the commits after it are checked; without one, the last hundred.
func TestSinceTheTagOrTheLastHundred(t *testing.T) {
	dir, hashes := repository(t, "old", "bad, but before the tag", "core: with the tag", "core: after the tag")
	writeSince(t, dir, hashes[0])
	wantCheck(t, dir, false, false, "before the tag")
	run(t, dir, "tag", "v1", hashes[2])
	wantCheck(t, dir, true, true, "1 commits since v1")
	run(t, dir, "tag", "-d", "v1")
	for i := range maxCommits - 2 {
		add(t, dir, "core: number "+strconv.Itoa(i))
	}
	wantCheck(t, dir, true, true, strconv.Itoa(maxCommits)+" commits since")
	wantCheck(t, dir, true, true)
	run(t, dir, "tag", "v0", hashes[0])
	wantCheck(t, dir, false, false, "before the tag") // more than a hundred, but after the tag
}

// Merges are not checked: git writes their messages.
func TestMergesAreNotChecked(t *testing.T) {
	dir, hashes := repository(t, "old")
	writeSince(t, dir, hashes[0])
	run(t, dir, "checkout", "-q", "-b", "side")
	add(t, dir, "core: on the side")
	run(t, dir, "checkout", "-q", "main")
	add(t, dir, "core: on main")
	run(t, dir, "merge", "-q", "--no-ff", "-m", "Merge branch 'side'", "side")
	wantCheck(t, dir, true, true, "2 commits since")
}

// In a shallow clone the commits that it has are checked, and the report says that
// others are missing.
func TestShallowClone(t *testing.T) {
	full, hashes := repository(t, "old", "core: one", "core: two")
	shallow := filepath.Join(t.TempDir(), "shallow")
	run(t, full, "clone", "-q", "--depth=1", "file://"+full, shallow)
	writeSince(t, shallow, hashes[0])
	wantCheck(t, shallow, true, true, "1 commits since", "NOT CHECKED", "shallow")
	add(t, shallow, "bad")
	wantCheck(t, shallow, false, false, `"bad"`)
}

// An export of the tree has no history, even in a folder of another repository.
func TestExport(t *testing.T) {
	outer, _ := repository(t, "somebody else's")
	export := filepath.Join(outer, "export")
	if err := os.Mkdir(export, 0o700); err != nil {
		t.Fatal(err)
	}
	writeSince(t, export, strings.Repeat("0", 40))
	wantCheck(t, export, true, true, "NOT CHECKED", "no .git")
}

// A history that git cannot read is a failure in CI.
func TestUnreadableHistory(t *testing.T) {
	dir, hashes := repository(t, "old")
	writeSince(t, dir, hashes[0])
	if err := os.WriteFile(filepath.Join(dir, ".git", "HEAD"), []byte("nothing\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	wantCheck(t, dir, true, false, "NOT CHECKED", "git rev-parse")
}
