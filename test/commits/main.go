// Commits checks that the messages of recent commits have the form that
// CONTRIBUTING.md requires. It checks the commits since the last tag, or the last
// hundred if there is no tag. In both cases it ignores the commit that the file since
// names and those before, which are older than this check.
package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// maxCommits is how many commits are checked if there is no tag.
const maxCommits = 100

func main() {
	report, ok := check(".", "test/commits/since", os.Getenv("CI") == "true")
	fmt.Println(report)
	if !ok {
		os.Exit(1)
	}
}

// check checks the commits of the tree in dir. The file names the commit after which
// the rules apply. The report says what could not be checked. That is a failure only
// in CI, and not if the tree has no history or the clone is shallow.
func check(dir, file string, ci bool) (report string, ok bool) {
	if _, err := os.Stat(filepath.Join(dir, ".git")); err != nil {
		return "NOT CHECKED: the messages of commits: this tree has no .git", true
	}
	h, err := historyOf(dir, file)
	if err != nil {
		return "NOT CHECKED: the messages of commits: " + err.Error(), !ci
	}
	var faults []string
	for _, c := range h.commits {
		for _, fault := range messageFaults(c.message) {
			faults = append(faults, fmt.Sprintf("commit %.12s: %s", c.hash, fault))
		}
	}
	if len(faults) > 0 {
		return strings.Join(append(faults, `See CONTRIBUTING.md, "Commits". To change the last message: git commit --amend; older ones: git rebase -i`), "\n"), false
	}
	report = fmt.Sprintf("the messages of %d commits since %s have the form of CONTRIBUTING.md", len(h.commits), h.since)
	if h.missing {
		report += "\nNOT CHECKED: commits that this clone does not have: it is shallow (git fetch --unshallow)"
	}
	return report, true
}

// A history has the commits to check.
type history struct {
	commits []commit
	since   string // the commit or tag before them
	missing bool   // the clone is shallow, and may lack some of them
}

type commit struct{ hash, message string }

// historyOf reads the history with git.
func historyOf(dir, file string) (history, error) {
	text, err := os.ReadFile(filepath.Join(dir, file))
	if err != nil {
		return history{}, err
	}
	start := strings.TrimSpace(string(text))
	shallow, err := git(dir, "rev-parse", "--is-shallow-repository")
	if err != nil {
		return history{}, err
	}
	h := history{since: fmt.Sprintf("%.12s", start)}
	// The messages of merges are written by git.
	list := []string{"rev-list", "--no-merges", "HEAD"}
	if _, err := git(dir, "cat-file", "-e", start+"^{commit}"); err == nil {
		list = append(list, "^"+start)
	} else if shallow == "true" {
		h.missing = true // start is older than what the clone has
	} else {
		return history{}, fmt.Errorf("%s names the commit %q, which the history does not have", file, start)
	}
	if tag, err := git(dir, "describe", "--tags", "--abbrev=0"); err == nil {
		h.since = tag
		list = append(list, "^"+tag)
	} else {
		list = append(list, "--max-count="+strconv.Itoa(maxCommits))
	}
	hashes, err := git(dir, list...)
	if err != nil {
		return history{}, err
	}
	for _, hash := range strings.Fields(hashes) {
		message, err := git(dir, "show", "--no-patch", "--format=%B", hash)
		if err != nil {
			return history{}, err
		}
		h.commits = append(h.commits, commit{hash, message})
	}
	return h, nil
}

// git runs a git command and returns its output.
func git(dir string, args ...string) (string, error) {
	cmd := exec.Command("git", args...)
	cmd.Dir = dir
	var out, errs strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("git %s: %v: %s", args[0], err, strings.TrimSpace(errs.String()))
	}
	return strings.TrimSpace(out.String()), nil
}
