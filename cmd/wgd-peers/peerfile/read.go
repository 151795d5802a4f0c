package peerfile

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"

	"wgd/cmd/wgd-peers/store"
	"wgd/internal/quote"
)

// A Note says what was skipped in a file, and why.
type Note struct {
	File string // "-" is standard input
	Line int    // from 1; 0: the file as a whole, or not known
	Peer string // the name of the peer, or the beginning of its key; "": it has neither
	Text string // a sentence, without secrets
}

// String returns the note as one line.
func (n Note) String() string {
	text := n.Text
	if n.Peer != "" && !strings.HasPrefix(text, "peer ") {
		text = "peer " + n.Peer + ": " + text
	}
	switch {
	case n.File == "":
		return text
	case n.Line == 0:
		return n.File + ": " + text
	}
	return fmt.Sprintf("%s:%d: %s", n.File, n.Line, text)
}

// A reader reads one file.
type reader struct {
	name    string // of the file, for notes
	in      *bufio.Reader
	skipped func(Note)
	yield   func(*store.Peer, error) bool
}

// peek is how much of a file is looked at to find out its format.
const peek = 4096

// Read returns the peers in a file, one at a time: its content says whether it is CSV, JSON
// or a configuration file. A peer that cannot be read is passed to skipped. An error means
// that the rest of the file cannot be read.
func Read(name string, in io.Reader, skipped func(Note)) iter.Seq2[*store.Peer, error] {
	return func(yield func(*store.Peer, error) bool) {
		r := &reader{name: quote.Path(name), in: bufio.NewReaderSize(in, 2*peek), skipped: skipped, yield: yield}
		begin, err := r.in.Peek(peek)
		if err != nil && !errors.Is(err, io.EOF) {
			yield(nil, fmt.Errorf("%s: %w", r.name, err))
			return
		}
		if mark := []byte("\ufeff"); bytes.HasPrefix(begin, mark) { // as some editors write
			_, _ = r.in.Discard(len(mark))
		}
		switch begin = bytes.TrimLeft(begin, " \t\r\n\ufeff"); {
		case len(begin) == 0:
			r.skip(0, "", "the file is empty")
		case begin[0] == '{' || isJSONList(begin):
			r.json()
		case isCSV(begin):
			r.csv()
		default:
			r.conf()
		}
	}
}

// isJSONList distinguishes a JSON list from a section.
func isJSONList(begin []byte) bool {
	if begin[0] != '[' {
		return false
	}
	rest := bytes.TrimLeft(begin[1:], " \t\r\n")
	return len(rest) == 0 || rest[0] == '{' || rest[0] == ']'
}

// isCSV reports whether the first line has the name of the column that all need.
func isCSV(begin []byte) bool {
	line, _, _ := bytes.Cut(begin, []byte("\n"))
	return bytes.Contains(bytes.ToLower(line), []byte("public_key")) && !bytes.Contains(line, []byte("="))
}

func (r *reader) skip(line int, peer, text string) {
	r.skipped(Note{File: r.name, Line: line, Peer: peer, Text: text})
}

// fail ends reading with an error.
func (r *reader) fail(line int, err error) {
	r.yield(nil, errors.New(Note{File: r.name, Line: line, Text: quote.Text(err.Error())}.String()))
}

// take passes on the peer of a record, or skips it. It reports whether to continue.
func (r *reader) take(record *Record, line int) bool {
	p, err := record.peer()
	if err != nil {
		r.skip(line, record.label(), err.Error())
		return true
	}
	return r.yield(p, nil)
}

func (r *reader) json() {
	d := json.NewDecoder(r.in)
	begin, _ := r.in.Peek(peek) // as Read has done
	list := isJSONList(bytes.TrimLeft(begin, " \t\r\n"))
	if list {
		if _, err := d.Token(); err != nil {
			r.fail(0, err)
			return
		}
	}
	for number := 1; d.More(); number++ {
		var raw json.RawMessage
		if err := d.Decode(&raw); err != nil {
			r.fail(0, fmt.Errorf("object %d: this is not JSON", number))
			return
		}
		var record Record
		if err := json.Unmarshal(raw, &record); err != nil {
			r.skip(0, record.label(), fmt.Sprintf("object %d: %s", number, jsonFault(err)))
			continue
		}
		if !r.take(&record, 0) {
			return
		}
	}
	if list {
		if _, err := d.Token(); err != nil {
			r.fail(0, errors.New("the list has no end"))
			return
		}
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		r.fail(0, errors.New("after the last object there is something that is none"))
	}
}

// jsonFault says which field is wrong, without its value.
func jsonFault(err error) string {
	var wrong *json.UnmarshalTypeError
	if errors.As(err, &wrong) {
		return fmt.Sprintf("the field %s is wrong", quote.Name(wrong.Field))
	}
	return "a field is wrong"
}

func (r *reader) csv() {
	in := csv.NewReader(r.in)
	in.ReuseRecord, in.TrimLeadingSpace, in.FieldsPerRecord = true, true, -1
	head, err := in.Read()
	if err != nil {
		r.fail(1, err)
		return
	}
	order, err := columnOrder(head)
	if err != nil {
		r.fail(1, err)
		return
	}
	for {
		row, err := in.Read()
		if errors.Is(err, io.EOF) {
			return
		}
		var wrong *csv.ParseError
		if errors.As(err, &wrong) {
			r.fail(wrong.StartLine, wrong.Err)
			return
		}
		if err != nil {
			r.fail(0, err)
			return
		}
		line, _ := in.FieldPos(0)
		if len(row) != len(order) {
			r.skip(line, "", fmt.Sprintf("%d fields, and %d columns: write a comma between all of them", len(row), len(order)))
			continue
		}
		var record Record
		if err := record.set(order, row); err != nil {
			r.skip(line, record.label(), err.Error())
			continue
		}
		if !r.take(&record, line) {
			return
		}
	}
}

// columnOrder returns the columns of a file from its first line.
func columnOrder(head []string) (order []*column, err error) {
	for _, name := range head {
		name = strings.ToLower(strings.TrimSpace(strings.TrimPrefix(name, "\ufeff")))
		i := slices.IndexFunc(columns, func(c column) bool { return c.name == name })
		if i < 0 {
			return nil, fmt.Errorf("there is no column %s: the columns are %s", quote.Name(name), strings.Join(Columns(), ", "))
		}
		if slices.Contains(order, &columns[i]) {
			return nil, fmt.Errorf("the column %s is there twice", name)
		}
		order = append(order, &columns[i])
	}
	if !slices.ContainsFunc(order, func(c *column) bool { return c.name == "public_key" }) {
		return nil, errors.New("there is no column public_key")
	}
	return order, nil
}

// set sets the fields of a record from a row. All are tried, so that the record has its name.
func (r *Record) set(order []*column, row []string) error {
	var first error
	for i, c := range order {
		if err := c.set(r, strings.TrimSpace(row[i])); err != nil && first == nil {
			first = err
			if !strings.HasPrefix(err.Error(), c.name) {
				first = fmt.Errorf("%s %s: %w", c.name, quote.Text(row[i]), err)
			}
		}
	}
	return first
}
