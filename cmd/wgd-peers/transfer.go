package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"time"

	"wgd/cmd/wgd-peers/peerfile"
	"wgd/cmd/wgd-peers/store"
	"wgd/internal/cli"
	"wgd/internal/quote"
)

var (
	optReplace = cli.Option{Long: "replace", Text: "Replace the peers whose public keys the store has already, instead of skipping them."}
	optDryRun  = cli.Option{Long: "dry-run", Text: "Say what would be imported and skipped, and change nothing."}
	optFormat  = cli.Option{Long: "format", Value: "FORMAT", Text: "csv (the default) and json have all that the store holds; conf has sections [Peer] as wg(8) reads them."}
)

var importForm = cli.Form{
	Syntax:  "import FILE...",
	Example: "wgd-peers import peers.csv",
	Summary: "add the peers in files",
	Options: []cli.Option{optReplace, optDryRun, optJSON},
	Text: []string{
		"The content of a FILE says what it is. CSV: the first line has the names of the columns, of which only public_key is needed: " + strings.Join(peerfile.Columns(), ", ") + ". " +
			"JSON: what wgd-peers export and wgd-peers list print. " +
			"A configuration file with one [Peer] that has an Endpoint, and with a PrivateKey, an Address and no ListenPort in [Interface], is that of a client, which becomes the peer, named like the file. " +
			"Any other configuration file, such as the output of wg showconf, is that of a gateway, whose peers are added.",
		"All peers are added in one step: after an error, or a crash in the middle, the store is as before. " +
			"A peer that cannot be added is skipped, with a line on standard error that says why. So is a peer whose public key, name or address the store has already, unless --replace is given for its key.",
		"The JSON object has the fields `added`, `replaced` and `skipped`: a list of objects with `file`, `line` (0: not known), `peer` and `text`.",
	},
	Run: runImport,
}

// An imported is what import prints in JSON.
type imported struct {
	Added    int       `json:"added"`
	Replaced int       `json:"replaced"`
	Skipped  []skipped `json:"skipped"`
}

type skipped struct {
	File string `json:"file"`
	Line int    `json:"line"`
	Peer string `json:"peer"`
	Text string `json:"text"`
}

// errDryRun ends an import that changes nothing.
var errDryRun = errors.New("this was a dry run")

func runImport(c *cli.Call) error {
	return withStore(c, true, func(ctx context.Context, s store.Store) error {
		done := c.Progress("importing")
		defer done()
		result := imported{Skipped: []skipped{}}
		count := 0
		note := func(n peerfile.Note) {
			count++
			if c.Has(optJSON.Long) {
				result.Skipped = append(result.Skipped, skipped{n.File, n.Line, n.Peer, n.Text})
			} else {
				cli.PrintError(c.Stderr, c.Command.Name, fmt.Errorf("skipped: %s", n))
			}
		}
		files := &inputs{ctx: ctx, c: c, note: note}
		read := 0
		counted := func(yield func(*store.Peer, error) bool) {
			for p, err := range files.peers() {
				read++
				if !yield(p, err) {
					return
				}
			}
			if c.Has(optDryRun.Long) {
				yield(nil, errDryRun)
			}
		}
		refused := 0
		added, replaced, err := s.Import(ctx, counted, c.Has(optReplace.Long), func(p *store.Peer, why error) {
			refused++
			note(peerfile.Note{File: files.of(p), Peer: quote.Name(p.Label()), Text: why.Error()})
		})
		done()
		result.Added, result.Replaced = added, replaced
		dry := errors.Is(err, errDryRun)
		if dry {
			result.Added, err = read-refused, nil
		}
		if err != nil {
			return err
		}
		if c.Has(optJSON.Long) {
			return c.PrintJSON(result)
		}
		return printImported(c, result, count, dry)
	})
}

func printImported(c *cli.Call, result imported, skipped int, dry bool) (err error) {
	if dry {
		_, err = fmt.Fprintf(c.Stdout, "would be added or replaced: %d, skipped: %d\n", result.Added, skipped)
	} else {
		_, err = fmt.Fprintf(c.Stdout, "added: %d, replaced: %d, skipped: %d\n", result.Added, result.Replaced, skipped)
	}
	return err
}

// inputs are the files of an import.
type inputs struct {
	ctx     context.Context
	c       *cli.Call
	note    func(peerfile.Note)
	current string // the file that is being read, for messages

	// The latest peers and their files: a store may refuse a peer when it has taken up to
	// 1,000 later ones.
	latest [1024]struct {
		peer *store.Peer
		file string
	}
	count int
}

// of returns the file of a peer, for messages.
func (in *inputs) of(p *store.Peer) string {
	for _, l := range in.latest {
		if l.peer == p {
			return l.file
		}
	}
	return in.current
}

// peers returns the peers of all files. A file that cannot be read is an error.
func (in *inputs) peers() iter.Seq2[*store.Peer, error] {
	return func(yield func(*store.Peer, error) bool) {
		for _, path := range in.c.Args("FILE") {
			files, err := expand(path)
			if err != nil {
				yield(nil, err)
				return
			}
			for _, file := range files {
				if !in.file(file, yield) {
					return
				}
			}
		}
	}
}

// expand returns the files of a folder, or the file itself.
func expand(path string) ([]string, error) {
	if path == "-" {
		return []string{path}, nil
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("%s: %w: correct the path, or its permissions", quote.Path(path), withoutPath(err))
	}
	if !info.IsDir() {
		return []string{path}, nil
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return nil, fmt.Errorf("%s: %w: correct the permissions", quote.Path(path), withoutPath(err))
	}
	var files []string
	for _, e := range entries {
		if filepath.Ext(e.Name()) == ".conf" {
			files = append(files, filepath.Join(path, e.Name()))
		}
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("%s: there are no files whose names end with .conf", quote.Path(path))
	}
	return files, nil
}

// file passes on the peers of one file. It reports whether to continue.
func (in *inputs) file(path string, yield func(*store.Peer, error) bool) bool {
	in.current = quote.Path(path)
	var from io.Reader = &interruptible{ctx: in.ctx, from: in.c.Stdin}
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return yield(nil, fmt.Errorf("%s: %w: correct the path, or its permissions", in.current, withoutPath(err)))
		}
		defer f.Close()
		from = f
	}
	for p, err := range peerfile.Read(path, from, in.note) {
		l := &in.latest[in.count%len(in.latest)]
		l.peer, l.file = p, in.current
		in.count++
		if !yield(p, err) {
			return false
		}
	}
	return true
}

// An interruptible reader returns an error when ctx ends, although somebody may still type.
type interruptible struct {
	ctx  context.Context
	from io.Reader
	read chan []byte
	rest []byte
	err  error // of from, after what it has read
}

func (i *interruptible) Read(p []byte) (int, error) {
	if i.read == nil {
		i.read = make(chan []byte)
		go i.readAll()
	}
	if len(i.rest) == 0 {
		var more bool
		select {
		case i.rest, more = <-i.read:
		case <-i.ctx.Done():
			return 0, i.ctx.Err()
		}
		if !more {
			return 0, i.err
		}
	}
	n := copy(p, i.rest)
	i.rest = i.rest[n:]
	return n, nil
}

// readAll reads until the end, an error or the end of ctx. A read that does not return ends
// with the process.
func (i *interruptible) readAll() {
	defer close(i.read)
	for i.err == nil {
		var n int
		buffer := make([]byte, 64<<10)
		n, i.err = i.from.Read(buffer)
		select {
		case i.read <- buffer[:n]:
		case <-i.ctx.Done():
			return
		}
	}
}

// writers are the formats of export.
var writers = map[string]func(c *cli.Call, peers iter.Seq2[*store.Peer, error]) error{
	"csv": func(c *cli.Call, peers iter.Seq2[*store.Peer, error]) error {
		return peerfile.WriteCSV(c.Stdout, peers)
	},
	"json": func(c *cli.Call, peers iter.Seq2[*store.Peer, error]) error {
		return peerfile.WriteJSON(c.Stdout, peers, true)
	},
	"conf": func(c *cli.Call, peers iter.Seq2[*store.Peer, error]) error {
		return peerfile.WriteConf(c.Stdout, peers, func(p *store.Peer, why string) {
			c.Warnf("left out: peer %s: %s", p.Label(), why)
		})
	},
}

func formats() []string { return []string{"csv", "json", "conf"} }

var exportForm = cli.Form{
	Syntax:  "export",
	Example: "wgd-peers export > peers.csv",
	Summary: "print all peers, for import",
	Options: []cli.Option{optFormat, optJSON},
	Text: []string{
		"The output has the preshared keys: keep it private. wgd-peers import reads all formats. With csv and json, it restores everything except for when a peer was last changed: also what gateways have seen of it. " +
			"With conf, revoked peers are left out, with a warning. --json is the same as --format=json.",
		"What others change during an export may or may not be in it. For a copy of one moment, use VACUUM INTO of SQLite, or etcdctl snapshot save.",
	},
	Run: runExport,
}

func runExport(c *cli.Call) error {
	format := "csv"
	if c.Has(optJSON.Long) {
		format = "json"
	}
	if text, given := c.Value(optFormat.Long); given {
		format = text
	}
	write := writers[format]
	if write == nil {
		return cli.Usagef("format %s: give csv, json or conf", quote.Name(format))
	}
	warnIfExposed(c, "the preshared keys")
	return withStore(c, false, func(ctx context.Context, s store.Store) error { return write(c, s.All(ctx)) })
}

var watchForm = cli.Form{
	Syntax:  "watch",
	Example: "wgd-peers watch --json",
	Summary: "print peers as they change",
	Options: []cli.Option{optJSON},
	Text: []string{
		"Every peer that is added, changed, revoked or deleted has a line, until the command is interrupted. It does not matter which program changes it.",
		"With --json, a line is an object with the fields `time`, `revision`, `public_key` (null: too much has changed at once, every peer may be another) and `peer` (as wgd-peers list prints it; null: it was deleted).",
	},
	Run: runWatch,
}

// A change is a line of watch in JSON.
type change struct {
	Time      int64            `json:"time"`
	Revision  store.Revision   `json:"revision"`
	PublicKey *string          `json:"public_key"`
	Peer      *peerfile.Record `json:"peer"`
}

func runWatch(c *cli.Call) error {
	return withStore(c, false, func(ctx context.Context, s store.Store) error {
		since, err := s.Revision(ctx)
		if err != nil {
			return err
		}
		for changes, err := range s.Watch(ctx, since) {
			if err != nil {
				return err
			}
			if changes.Lost {
				if err := printChange(c, change{Time: time.Now().Unix(), Revision: changes.Revision}); err != nil {
					return err
				}
				continue
			}
			for _, public := range changes.Keys {
				text := public.Base64()
				line := change{Time: time.Now().Unix(), Revision: changes.Revision, PublicKey: &text}
				p, err := s.ByKey(ctx, public)
				switch {
				case err == nil:
					record := peerfile.RecordOf(p, false)
					line.Peer = &record
				case ctx.Err() != nil:
					return nil
				case !errors.Is(err, store.ErrNotFound):
					return err
				}
				if err := printChange(c, line); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// printChange prints a line of watch.
func printChange(c *cli.Call, line change) error {
	if c.Has(optJSON.Long) {
		return json.NewEncoder(c.Stdout).Encode(line)
	}
	at := time.Unix(line.Time, 0).Format(time.DateTime)
	text := "too much has changed: read the list again"
	switch {
	case line.PublicKey == nil:
	case line.Peer == nil:
		text = *line.PublicKey + " deleted"
	case line.Peer.Revoked != nil:
		text = *line.PublicKey + " " + nameOf(line.Peer) + " revoked"
	default:
		text = *line.PublicKey + " " + nameOf(line.Peer) + " changed"
	}
	_, err := io.WriteString(c.Stdout, at+" "+text+"\n")
	return err
}

func nameOf(r *peerfile.Record) string {
	if r.Name == nil {
		return "(none)"
	}
	return *r.Name
}
