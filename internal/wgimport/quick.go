package wgimport

import (
	"slices"
	"strings"

	"wgd/internal/wgconf"
)

// foreign are directives of programs that read the format of wg-quick and know
// more, and what to say about them.
var foreign = map[string]string{
	"jc": amnezia, "jmin": amnezia, "jmax": amnezia, "s1": amnezia, "s2": amnezia, "s3": amnezia, "s4": amnezia,
	"h1": amnezia, "h2": amnezia, "h3": amnezia, "h4": amnezia, "i1": amnezia, "i2": amnezia, "i3": amnezia, "i4": amnezia, "i5": amnezia,
	"includedapplications": byApplication, "excludedapplications": byApplication,
}

const (
	amnezia       = "AmneziaWG disguises its packets with this: its server answers no plain WireGuard, so the tunnel cannot work"
	byApplication = "Android chooses by application who uses the tunnel: here, addresses and routes decide"
)

// windows are words of hooks that only a Windows machine can run.
var windows = []string{"powershell", "netsh", ".exe", "cmd /c", "%wireguard_tunnel_name%", "route add"}

// quick imports a file of wg-quick. What wgd understands stays as it is, with
// comments and order; lines that it does not understand are left out.
func (m *importer) quick(name, text string) {
	q := &quick{notes: &m.notes, name: name}
	for line := range strings.Lines(text) {
		q.lines = append(q.lines, line)
		q.numbers = append(q.numbers, len(q.lines))
	}
	q.preamble()
	q.commands()
	for range maxPasses {
		document := wgconf.Parse([]byte(strings.Join(q.lines, "")))
		file, problems := document.Decode(env)
		if file != nil {
			q.warn(problems)
			change := file.Change()
			change.Erase()
			m.tunnels = append(m.tunnels, Tunnel{Name: m.name(name, baseName(name)), Source: name, Peers: len(file.Peers), Document: document})
			return
		}
		document.Erase()
		if !q.leaveOut(problems) {
			return
		}
	}
	m.refused(name, "too many lines contradict each other")
}

// maxPasses bounds how often a file is read again without the lines that were
// wrong. One or two suffice, because most errors are found at once.
const maxPasses = 100

// quick is such a file in progress.
type quick struct {
	*notes
	name    string
	lines   []string
	numbers []int // of the lines, in the source
}

func (q *quick) at(i int, key string) place { return place{q.name, q.numbers[i], key} }

// preamble leaves out what stands above the first header.
func (q *quick) preamble() {
	out := map[int]bool{}
	for i := 0; i < len(q.lines) && !q.isHeader(i); i++ {
		code, _, _ := strings.Cut(q.lines[i], "#")
		if strings.TrimSpace(code) != "" {
			q.lost(q.at(i, q.key(i)), "it stands above the first section")
			out[i] = true
		}
	}
	q.without(out)
}

// commands says what there is to know about hooks: they are commands, which run
// as root, and other programs read them otherwise.
func (q *quick) commands() {
	for i, line := range q.lines {
		key, value, ok := strings.Cut(line, "=")
		key = strings.TrimSpace(key)
		if !ok || !slices.Contains([]string{"preup", "postup", "predown", "postdown"}, strings.ToLower(key)) || strings.TrimSpace(value) == "" {
			continue
		}
		switch value = strings.ToLower(value); {
		case slices.ContainsFunc(windows, func(w string) bool { return strings.Contains(value, w) }):
			q.changed(q.at(i, key), "a command that seems to be for Windows: replace it, or remove the line")
		case strings.Contains(value, "#"):
			q.changed(q.at(i, key), "a command, which is run as root: read it first; the # is a part of it, where Windows and older wg-quick begin a comment")
		default:
			q.changed(q.at(i, key), "a command, which is run as root: read it first")
		}
	}
}

// warn passes on what is doubtful.
func (q *quick) warn(problems wgconf.Problems) {
	for _, p := range problems {
		q.changed(place{file: q.name, line: q.number(p.Line)}, "%s", relocate(p.Text, q.number))
	}
}

// number is the line of the source that is the nth one now.
func (q *quick) number(n int) int {
	if n < 1 || n > len(q.numbers) {
		return 0
	}
	return q.numbers[n-1]
}

// leaveOut takes out the lines with errors, and the whole section if it is its
// header that has one. It reports false if that does not help.
func (q *quick) leaveOut(problems wgconf.Problems) bool {
	out := map[int]bool{}
	for _, p := range problems {
		i := p.Line - 1
		if p.Warning || out[i] {
			continue
		}
		if i < 0 || i >= len(q.lines) {
			q.refused(q.name, "%s", p.Text)
			return false
		}
		out[i] = true
		if !q.isHeader(i) {
			q.add(q.at(i, q.key(i)), Lost, "%s", q.reason(i, relocate(p.Text, q.number)))
			continue
		}
		q.add(q.at(i, "["+label(q.section(i))+"]"), Lost, "%s", p.Text)
		for i++; i < len(q.lines) && !q.isHeader(i); i++ {
			if key := q.key(i); key != "" && !out[i] {
				q.add(q.at(i, key), Lost, "its section is not carried over")
			}
			out[i] = true
		}
	}
	q.without(out)
	return len(out) > 0
}

// without takes lines out.
func (q *quick) without(out map[int]bool) {
	lines, numbers := q.lines, q.numbers
	q.lines, q.numbers = nil, nil
	for i := range lines {
		if !out[i] {
			q.lines, q.numbers = append(q.lines, lines[i]), append(q.numbers, numbers[i])
		}
	}
}

func (q *quick) isHeader(i int) bool {
	code, _, _ := strings.Cut(q.lines[i], "#")
	return strings.HasPrefix(strings.TrimSpace(code), "[")
}

func (q *quick) section(i int) string {
	code, _, _ := strings.Cut(q.lines[i], "#")
	return strings.Trim(strings.TrimSpace(code), "[]")
}

// key is the directive of a line; "" if it has none.
func (q *quick) key(i int) string {
	line := strings.TrimSpace(q.lines[i])
	key, _, ok := strings.Cut(line, "=")
	key = strings.TrimSpace(key)
	switch {
	case !ok || strings.HasPrefix(line, "#"):
		return ""
	case foreign[strings.ToLower(key)] != "":
		return key
	}
	return label(key)
}

// reason is what to say about a line; that of wgconf, unless another program's
// directive is known.
func (q *quick) reason(i int, text string) string {
	if known := foreign[strings.ToLower(q.key(i))]; known != "" {
		return known
	}
	return text
}
