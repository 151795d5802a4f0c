package wgimport

import "strings"

// section is a section of a source, and what stands in it.
type section struct {
	name    string // "" for what stands above the first header
	line    int
	entries []entry
}

// entry is a line KEY=VALUE; without an equals sign it has no key.
type entry struct {
	key, value string
	line       int
}

// readKeyfile reads the format of GKeyFile, which NetworkManager uses. Only a
// line that begins with # is a comment.
func readKeyfile(text string) []section {
	r := reader{list: []section{{}}}
	number := 0
	for line := range strings.Lines(text) {
		number++
		if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
			r.line(line, number)
		}
	}
	return r.list
}

// readUnit reads the format of systemd. A line that begins with # or ; is a
// comment, also between the parts of a line that a backslash continues.
func readUnit(text string) []section {
	r := reader{list: []section{{}}}
	number, first, joined := 0, 0, ""
	for line := range strings.Lines(text) {
		number++
		line = strings.TrimSpace(line)
		if line != "" && (line[0] == '#' || line[0] == ';') {
			continue
		}
		if joined == "" {
			first = number
		}
		part, more := strings.CutSuffix(line, `\`)
		joined += part
		if more {
			joined += " "
			continue
		}
		if joined = strings.TrimSpace(joined); joined != "" {
			r.line(joined, first)
		}
		joined = ""
	}
	if joined = strings.TrimSpace(joined); joined != "" {
		r.line(joined, first)
	}
	return r.list
}

// reader is a reading in progress.
type reader struct{ list []section }

func (r *reader) line(line string, number int) {
	if name, ok := header(line); ok {
		r.list = append(r.list, section{name: name, line: number})
		return
	}
	s := &r.list[len(r.list)-1]
	key, value, ok := strings.Cut(line, "=")
	if !ok {
		key, value = "", ""
	}
	s.entries = append(s.entries, entry{strings.TrimSpace(key), strings.TrimSpace(value), number})
}

func header(line string) (name string, ok bool) {
	if len(line) < 2 || line[0] != '[' || line[len(line)-1] != ']' {
		return "", false
	}
	return line[1 : len(line)-1], true
}

// unescape replaces the escapes of GKeyFile.
func unescape(value string) string {
	return strings.NewReplacer(`\\`, `\`, `\s`, " ", `\t`, "\t", `\n`, "\n", `\r`, "\r", `\;`, ";").Replace(value)
}

// elements are those of a list in a keyfile.
func elements(value string) (list []string) {
	for e := range strings.SplitSeq(value, ";") {
		if e = strings.TrimSpace(unescape(e)); e != "" {
			list = append(list, e)
		}
	}
	return list
}
