package archtest

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const findings = "../../findings"

// findingFields are in the first comment of every script in findings/, in this
// order. CONTRIBUTING.md explains them.
var findingFields = []string{"Guess:", "Truth:", "Seen:", "Source:", "Needs:"}

var (
	findingName = regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*\.sh$`)
	findingDate = regexp.MustCompile(`\b20[0-9]{2}-[01][0-9]-[0-3][0-9]\b`)
	ourCommands = regexp.MustCompile(`\b(wgd|wgconfig|wg-ifconfig|wg-keygen)\b`)
	localPath   = regexp.MustCompile(`(^|[^A-Za-z0-9.])/(home|root|work|tmp|mnt|opt|srv|Users)\b`)
	killsByName = regexp.MustCompile(`\b(pkill|killall|pgrep|pidof)\b`)
	leavesTrace = regexp.MustCompile(`\bmktemp\b|\bnetns add\b|&\s*(#.*)?$`)
)

// TestFindings: every script in findings/ has the form that CONTRIBUTING.md
// requires, and a shell can parse it. Only make findings shows whether it still
// holds.
func TestFindings(t *testing.T) {
	entries, err := os.ReadDir(findings)
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) == 0 {
		t.Error("findings/ is empty")
	}
	for _, e := range entries {
		file := filepath.Join(findings, e.Name())
		text, err := os.ReadFile(file)
		if err != nil {
			t.Error(err)
			continue
		}
		for _, fault := range findingFaults(e.Name(), string(text)) {
			t.Errorf("findings/%s: %s", e.Name(), fault)
		}
		if out, err := exec.Command("sh", "-n", file).CombinedOutput(); err != nil {
			t.Errorf("findings/%s: sh -n: %v\n%s", e.Name(), err, out)
		}
	}
}

// findingFaults returns what is wrong with the form of a script.
func findingFaults(name, text string) (faults []string) {
	fault := func(wrong bool, what string) {
		if wrong {
			faults = append(faults, what)
		}
	}
	fault(!findingName.MatchString(name), "its name is not small-letters-and-digits.sh")
	text, shebang := strings.CutPrefix(text, "#!/bin/sh\n")
	fault(!shebang, "its first line is not #!/bin/sh")
	comment, code := firstComment(text)
	faults = append(faults, fieldFaults(comment)...)
	first, _, _ := strings.Cut(code, "\n")
	fault(first != "set -eu", "the first line below the first comment is not set -eu")
	fault(ourCommands.MatchString(code), "it runs a command of this project: a finding is about other software")
	fault(localPath.MatchString(text), "it names a path of one machine: use mktemp -d")
	fault(killsByName.MatchString(code), "it looks for processes by name: keep the PID in a variable: $!")
	fault(leavesTraces(code) && !strings.Contains(code, "trap "), "it leaves something behind: remove it in a trap")
	fault(!strings.Contains(code, "It is still so."), `it never prints "It is still so."`)
	fault(!strings.Contains(code, "exit 1"), "it has no exit 1, for when it is no longer so")
	if _, needs, _ := strings.Cut(comment, "Needs:"); strings.Contains(needs, "root") {
		fault(!strings.Contains(code, "id -u") || !strings.Contains(code, "NOT TRIED") || !strings.Contains(code, "exit 77"),
			"it needs root, but does not say NOT TRIED and exit 77 without it")
	}
	return faults
}

func leavesTraces(code string) bool {
	return slices.ContainsFunc(strings.Split(code, "\n"), leavesTrace.MatchString)
}

// firstComment separates the first lines that begin with # from the rest.
func firstComment(text string) (comment, code string) {
	code = text
	for strings.HasPrefix(code, "#") {
		_, code, _ = strings.Cut(code, "\n")
	}
	return text[:len(text)-len(code)], code
}

// fieldFaults returns what is missing in the first comment.
func fieldFaults(comment string) (faults []string) {
	rest := comment
	for i, field := range findingFields {
		before, after, there := strings.Cut(rest, "\n# "+field)
		if !there {
			faults = append(faults, "its first comment has no "+field+" or not in the order of the others")
			continue
		}
		if i == 0 && strings.Trim(before, "# \n") == "" {
			faults = append(faults, "its first comment does not begin with a sentence that says what it shows")
		}
		value, _, _ := strings.Cut(after, "\n# "+append(findingFields, "")[i+1])
		if strings.Trim(value, "# \n") == "" {
			faults = append(faults, field+" is empty")
		}
		if field == "Seen:" && !findingDate.MatchString(value) {
			faults = append(faults, "Seen: has no date")
		}
		rest = "\n# " + field + after
	}
	return faults
}

// TestFindingsStayOutOfCI: CI does not run them, because other software changes.
func TestFindingsStayOutOfCI(t *testing.T) {
	makefile, err := os.ReadFile("../../Makefile")
	if err != nil {
		t.Fatal(err)
	}
	target := regexp.MustCompile(`(?m)^findings:\n(\t.*\n)+`)
	if !target.Match(makefile) {
		t.Error("Makefile has no target findings")
	}
	for line := range strings.Lines(target.ReplaceAllString(string(makefile), "")) {
		if strings.Contains(line, "findings") && !strings.HasPrefix(line, ".PHONY:") && !strings.HasPrefix(line, "#") {
			t.Errorf("Makefile: another target runs findings: %q", line)
		}
	}
	ci, err := os.ReadFile("../../.ci/run")
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(ci), "findings") {
		t.Error(".ci/run names findings")
	}
}

const goodFinding = `#!/bin/sh
# A number is even.
#
# Guess:  it is odd
# Truth:  it is even
# Seen:   Linux 6.18, 2026-11-28
# Source: arithmetic
# Needs:  root
set -eu
if [ "$(id -u)" != 0 ]; then
	echo "NOT TRIED: this needs root" >&2
	exit 77
fi
dir=$(mktemp -d)
trap 'rm -r "$dir"' EXIT
[ $((2 % 2)) = 0 ] || exit 1
echo "It is still so."
`

// TestFindingFaultsAreSeen tests the checks themselves.
func TestFindingFaultsAreSeen(t *testing.T) {
	if faults := findingFaults("even.sh", goodFinding); len(faults) > 0 {
		t.Errorf("a good one has the faults %q", faults)
	}
	for _, bad := range []struct{ name, old, new, word string }{
		{"Even.sh", "", "", "name"},
		{"even", "", "", "name"},
		{"even.sh", "#!/bin/sh", "#!/bin/bash", "#!/bin/sh"},
		{"even.sh", "# A number is even.", "#", "sentence"},
		{"even.sh", "# Guess:  it is odd\n", "", "Guess:"},
		{"even.sh", "# Truth:  it is even\n", "", "Truth:"},
		{"even.sh", "# Truth:  it is even\n", "# Truth:\n", "Truth: is empty"},
		{"even.sh", "2026-11-28", "yesterday", "no date"},
		{"even.sh", "arithmetic", "", "Source: is empty"},
		{"even.sh", "# Needs:  root\n", "", "Needs:"},
		{"even.sh", "root\nset -eu", "root\n\nset -eu", "set -eu"},
		{"even.sh", "set -eu\n", "set -e\n", "set -eu"},
		{"even.sh", "$(mktemp -d)", "$(mktemp -d); wgd wg0", "command of this project"},
		{"even.sh", "$(mktemp -d)", "/tmp/even", "path"},
		{"even.sh", "arithmetic", "/work/notes", "path"},
		{"even.sh", "[ $((2", "pkill sleep; [ $((2", "by name"},
		{"even.sh", "trap", "#", "trap"},
		{"even.sh", "dir=$(mktemp -d)\ntrap 'rm -r \"$dir\"' EXIT", "sleep 9 & # there", "trap"},
		{"even.sh", "still so", "fine", "still so"},
		{"even.sh", " || exit 1", "", "exit 1"},
		{"even.sh", "exit 77", "exit 0", "NOT TRIED"},
		{"even.sh", "id -u", "id", "NOT TRIED"},
	} {
		faults := findingFaults(bad.name, strings.Replace(goodFinding, bad.old, bad.new, 1))
		if len(faults) != 1 || !strings.Contains(faults[0], bad.word) {
			t.Errorf("%s with %q in place of %q has the faults %q, want one about %q", bad.name, bad.new, bad.old, faults, bad.word)
		}
	}
}
