package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"wgd/internal/cli"
	"wgd/internal/control"
	"wgd/internal/sys/file"
	"wgd/internal/tunnelfile"
	"wgd/internal/wgconf"
)

var saveForm = cli.Form{
	Syntax:  "save CONF",
	Example: "wgd save wg0",
	Summary: "write what has changed about an interface back to its file",
	Options: []cli.Option{optVerbose},
	Text:    saveText,
	Run:     runSave,
}

var saveText = []string{
	"What has changed about the tunnel since wgd up, or since the last wgd reload or wgd save, is written to the file: the private key, the port, the mark, and peers. " +
		"Everything else in the file stays as it is: comments, names, endpoints that are host names, the order, addresses, DNS, and also what was edited since then. " +
		"What wgd up chose and what its hooks have set is not written. Without a change the file stays, to the byte.",
	"The file is the one that wgd up has read. It is replaced in one step, and keeps its mode and owner; a symbolic link is followed. " +
		"An endpoint that the file does not have is not written if the peer may have told it by its packets: a message says so. " +
		"A change that the file cannot express is an error, and then nothing is written: a new private key in place of a PrivateKeyFile, for example.",
}

func runSave(c *cli.Call) error {
	_, name, err := wgconf.Locate(c.Arg("CONF"))
	if err != nil {
		return err
	}
	s, err := begin(c, name)
	if err != nil {
		return err
	}
	defer s.end()
	if err := s.findUp(); err != nil {
		return err
	}
	changed, err := s.save()
	if err == nil && !changed {
		_, err = fmt.Fprintf(c.Stdout, "%s: nothing to save: nothing has changed\n", name)
	}
	return err
}

// save writes what has changed about the tunnel to its file, and reports whether anything
// has.
func (s *session) save() (changed bool, err error) {
	record := s.setup.Record
	path := record.File
	text, _, err := readFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return false, fmt.Errorf("%s: the file is gone, so nothing can be saved: restore it", path)
	case err != nil:
		return false, fmt.Errorf("%s: %w: nothing is saved", path, plain(err))
	}
	defer clear(text)
	document := wgconf.Parse(text)
	defer document.Erase()
	from, problems := document.Decode(wgconf.Env{Dir: filepath.Dir(path), CheckOnly: true})
	if from == nil {
		return false, fmt.Errorf("%w: nothing is saved", problems.Err(path))
	}
	secrets := from.Change()
	defer secrets.Erase()
	status, err := control.StatusOf(s.name)
	if err != nil {
		return false, err
	}
	defer status.Erase()
	if status.KeysWithheld {
		return false, fmt.Errorf("%s: the daemon does not give its keys to this user, so nothing is saved: do this as root", s.name)
	}
	to, notes, err := tunnelfile.Save(from, record.Tunnel, &status)
	if err != nil {
		return false, fmt.Errorf("%s: nothing is saved: %w", path, err)
	}
	for _, note := range notes {
		s.call.Warnf("%s: %s", s.name, note)
	}
	document.Update(from, to)
	after := document.Bytes()
	defer clear(after)
	if bytes.Equal(after, text) {
		return false, nil
	}
	if err := s.write(path, after, to); err != nil {
		return false, err
	}
	s.note(fmt.Sprintf("%s: saved in %s", s.name, path))
	record.Tunnel = tunnelfile.RememberSaved(from, to, &status, record.Tunnel)
	return true, s.setup.Save()
}

// write replaces the file, once its new text is known to say what is to be saved.
func (s *session) write(path string, text []byte, saved *wgconf.File) error {
	again := wgconf.Parse(text)
	defer again.Erase()
	read, problems := again.Decode(wgconf.Env{Dir: filepath.Dir(path), CheckOnly: true})
	if read == nil {
		return fmt.Errorf("%s: nothing is saved, because the file would have errors: %w", path, problems.Err(path))
	}
	secrets := read.Change()
	defer secrets.Erase()
	if !tunnelfile.Expresses(read, saved) {
		return fmt.Errorf("%s: nothing is saved, because the file, as it is written, cannot express what has changed: edit it, and run wgd reload %s", path, s.name)
	}
	if err := file.Replace(path, text); err != nil {
		return fmt.Errorf("%s: nothing is saved: %w", path, err)
	}
	return nil
}
