package nameserver

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// ErrReplaced says that the file is not restored.
var ErrReplaced = errors.New("another program has replaced it since, so it stays as it is")

// The first line of a file that wgd has written, and the one that it has if there was
// none before.
const (
	mark   = "# Written by wgd"
	wasNot = "# There was no such file before."
)

// backup is where the original is while wgd's file is in its place.
func (s *Settings) backup() string { return s.resolvConf + ".wgd" }

func (s *Settings) draft() string { return s.resolvConf + ".wgd-draft" }

// copied is where a copy of the original is while wgd has written to it.
func (s *Settings) copied() string { return filepath.Join(s.dir, "before") }

// written reports whether the file is one that wgd has written.
func (s *Settings) written() bool {
	text, err := os.ReadFile(s.resolvConf)
	return err == nil && bytes.HasPrefix(text, []byte(mark))
}

// holding reports whether, besides, what was before is known.
func (s *Settings) holding() bool {
	return s.written() && (exists(s.backup()) || exists(s.copied()) || s.wasNone())
}

// wasNone reports whether there was no file before the one that wgd has written.
func (s *Settings) wasNone() bool {
	text, err := os.ReadFile(s.resolvConf)
	return err == nil && strings.Contains(string(text), "\n"+wasNot+"\n")
}

// writeFile gives the file the name servers of the tunnel that counts.
func (s *Settings) writeFile() error {
	holders := s.inFile()
	last := holders[len(holders)-1]
	if s.holding() {
		if exists(s.copied()) {
			return s.overwrite(s.fileText(last))
		}
		return s.replace(s.fileText(last))
	}
	if err := s.discard(); err != nil {
		return err
	}
	replaceErr := s.keep()
	if replaceErr == nil {
		replaceErr = s.replace(s.fileText(last))
	}
	if replaceErr == nil {
		return nil
	}
	if err := both(s.discard(), s.writeInPlace(last)); err != nil {
		return both(replaceErr, both(err, s.discard()))
	}
	return nil
}

func (s *Settings) fileText(h holder) []byte {
	before := wasNot
	switch {
	case exists(s.copied()):
		before = "# A copy of the original is " + s.copied() + "."
	case exists(s.backup()):
		before = "# The original is " + s.backup() + "."
	}
	return fmt.Appendf(nil, "%s for %s. \"wgd down %s\" restores what was before.\n%s\n%s", mark, h.name, h.name, before, h.text())
}

// keep gives the original another name. The first one remains until the file is replaced.
func (s *Settings) keep() error {
	if !exists(s.resolvConf) {
		return nil
	}
	return s.change(func() error { return s.link(s.resolvConf, s.backup()) })
}

// replace replaces the file in one step.
func (s *Settings) replace(text []byte) error {
	err := s.change(func() error { return writeDraft(s.draft(), text) })
	if err == nil {
		err = s.change(func() error { return os.Rename(s.draft(), s.resolvConf) })
	}
	if err != nil {
		return both(err, s.remove(s.draft()))
	}
	return nil
}

func writeDraft(path string, text []byte) error {
	const everybodyReads = 0o644 // whatever the umask is
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, everybodyReads)
	if err != nil {
		return err
	}
	_, err = file.Write(text)
	return errors.Join(err, file.Chmod(everybodyReads), file.Sync(), file.Close())
}

// writeInPlace is for a file that cannot be replaced, because it is a mount of its own. It
// does not write through a symbolic link to a file that others may use.
func (s *Settings) writeInPlace(h holder) error {
	info, err := os.Lstat(s.resolvConf)
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return fmt.Errorf("%s cannot be written to, because it is a link, and others may use the file to which it leads", s.resolvConf)
	}
	text, err := os.ReadFile(s.resolvConf)
	if err != nil {
		return err
	}
	// In one step, because a copy that is not complete must not be restored.
	incomplete := s.copied() + ".draft"
	if err := s.change(func() error { return os.WriteFile(incomplete, text, 0o600) }); err != nil {
		return err
	}
	if err := s.change(func() error { return os.Rename(incomplete, s.copied()) }); err != nil {
		return err
	}
	return s.overwrite(s.fileText(h))
}

// overwrite writes to the file. Whoever reads it meanwhile finds the old text, or the new
// one, which may be followed by empty lines.
func (s *Settings) overwrite(text []byte) error {
	file, err := os.OpenFile(s.resolvConf, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	padded := bytes.Clone(text)
	if more := int(info.Size()) - len(text); more > 0 {
		padded = append(padded, strings.Repeat("\n", more)...)
	}
	if err := s.change(func() error { _, err := file.WriteAt(padded, 0); return err }); err != nil {
		return err
	}
	return s.change(func() error { return file.Truncate(int64(len(text))) })
}

// restoreFile restores the original, if wgd has replaced it or written to it.
func (s *Settings) restoreFile() error {
	if err := s.remove(s.draft()); err != nil {
		return err
	}
	written := s.written()
	switch {
	case exists(s.copied()):
		return s.restoreCopy(written)
	case exists(s.backup()) && written:
		return s.change(func() error { return os.Rename(s.backup(), s.resolvConf) })
	case exists(s.backup()):
		untouched := same(s.backup(), s.resolvConf) // an earlier call was interrupted
		if err := s.discard(); err != nil || untouched {
			return err
		}
		return s.replaced()
	case written && s.wasNone():
		return s.remove(s.resolvConf)
	}
	return s.discard()
}

func (s *Settings) restoreCopy(written bool) error {
	text, err := os.ReadFile(s.copied())
	if err != nil {
		return err
	}
	now, err := os.ReadFile(s.resolvConf)
	// With only empty lines more, an earlier call was interrupted.
	if written || err == nil && bytes.Equal(bytes.TrimRight(now, "\n"), bytes.TrimRight(text, "\n")) {
		if err := s.overwrite(text); err != nil {
			return err
		}
		return s.discard()
	}
	return both(s.replaced(), s.discard())
}

func (s *Settings) replaced() error { return fmt.Errorf("%s: %w", s.resolvConf, ErrReplaced) }

// discard removes what is kept of the original.
func (s *Settings) discard() error {
	for _, path := range []string{s.draft(), s.backup(), s.copied()} {
		if err := s.remove(path); err != nil {
			return err
		}
	}
	return nil
}

func (s *Settings) remove(path string) error {
	if !exists(path) {
		return nil
	}
	return s.change(func() error { return os.Remove(path) })
}

// exists reports whether there is something of that name, also a link that leads nowhere.
func exists(path string) bool {
	_, err := os.Lstat(path)
	return !errors.Is(err, fs.ErrNotExist)
}

// same reports whether two names are those of one file.
func same(a, b string) bool {
	first, err := os.Lstat(a)
	if err != nil {
		return false
	}
	second, err := os.Lstat(b)
	return err == nil && os.SameFile(first, second)
}
