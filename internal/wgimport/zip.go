package wgimport

import (
	"archive/zip"
	"bytes"
	"io"
	"path"
	"slices"
	"strings"
)

// The limits of a zip file. The largest ones of providers hold some thousand
// files of less than a kilobyte.
const (
	maxEntries = 10_000
	maxEntry   = 1 << 20
	maxTotal   = 64 << 20
)

// endings are those of files in a zip file that are read.
var endings = []string{".conf", ".nmconnection", ".netdev", ".network"}

// archive reads a zip file. Nothing is extracted: the folders of a name are for
// messages only.
func (m *importer) archive(name string, raw []byte) {
	r, err := zip.NewReader(bytes.NewReader(raw), int64(len(raw)))
	if r == nil {
		m.refused(name, "a damaged zip file: %v", err)
		return
	}
	if len(r.File) > maxEntries {
		m.refused(name, "%d files in a zip file, and at most %d are read: import some of them at a time", len(r.File), maxEntries)
		return
	}
	total := 0
	for _, f := range r.File {
		inside := name + "/" + printable(strings.ReplaceAll(f.Name, `\`, "/"))
		if strings.HasSuffix(inside, "/") || strings.HasPrefix(path.Base(inside), "._") { // a folder, or what macOS adds
			continue
		}
		if !slices.Contains(endings, strings.ToLower(path.Ext(inside))) {
			m.lost(place{file: inside}, "files that do not end in %s are not read", strings.Join(endings, ", "))
			continue
		}
		text, fault := readEntry(f, maxTotal-total)
		if fault != "" {
			m.refused(inside, "%s", fault)
			continue
		}
		total += len(text)
		m.source(Source{Name: inside, Text: text}, false)
		clear(text)
	}
}

// readEntry reads a file in a zip file, whatever the length is that it claims.
func readEntry(f *zip.File, left int) (text []byte, fault string) {
	if f.Flags&1 != 0 {
		return nil, "it is encrypted: extract it, and import the file"
	}
	if !f.Mode().IsRegular() {
		return nil, "it is no regular file"
	}
	file, err := f.Open()
	if err != nil {
		return nil, "a damaged zip file: " + err.Error()
	}
	defer file.Close()
	limit := min(left, maxEntry)
	text, err = io.ReadAll(io.LimitReader(file, int64(limit)+1))
	switch {
	case err != nil:
		return nil, "a damaged zip file: " + err.Error()
	case len(text) > maxEntry:
		return nil, "it is too large for a configuration"
	case len(text) > limit:
		return nil, "the files before it are too large altogether: import some of them at a time"
	}
	return text, ""
}
