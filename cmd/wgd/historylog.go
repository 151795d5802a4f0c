package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"

	"wgd/internal/history"
	"wgd/internal/quote"
	"wgd/internal/sys/flock"
	"wgd/internal/uapi"
)

// A historyLog is a file of wgd watch --log with its predecessors, open for reading. What
// is appended later is not read.
type historyLog struct {
	files   []historyFile // the oldest first
	live    bool          // a wgd watch writes to it
	damaged int           // number of lines that are no events, after a read
}

type historyFile struct {
	*os.File
	info fs.FileInfo
}

// openHistory opens the files, the newest first: if they are renamed meanwhile, a file may
// be met twice, but none is missed.
func openHistory(path string) (*historyLog, error) {
	l := &historyLog{}
	for n := range keptEventLogs + 1 {
		name := path
		if n > 0 {
			name = fmt.Sprintf("%s.%d", path, n)
		}
		file, err := os.Open(name)
		if errors.Is(err, fs.ErrNotExist) && (n > 0 || exists(path+".1")) {
			continue // between renaming the old one and making the new one
		}
		if err == nil {
			err = l.add(file)
		}
		if err != nil {
			l.close()
			return nil, fmt.Errorf("%s: %w: give the file that `wgd watch --log FILE` writes", quote.Path(name), plain(err))
		}
	}
	slices.Reverse(l.files)
	return l, nil
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// add adds a file, unless it is there already.
func (l *historyLog) add(file *os.File) error {
	info, err := file.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = errors.New("it is not a regular file")
	}
	if err != nil {
		file.Close()
		return err
	}
	for i := range l.files {
		if os.SameFile(l.files[i].info, info) {
			return file.Close()
		}
	}
	l.files = append(l.files, historyFile{file, info})
	held, err := flock.Held(file)
	l.live = l.live || held
	return err
}

func (l *historyLog) close() {
	for _, f := range l.files {
		f.Close()
	}
}

// read passes all lines to add, in their order. It may be called several times.
func (l *historyLog) read(add func(*history.Line)) error {
	l.damaged = 0
	total := 0
	for _, f := range l.files {
		lines := bufio.NewScanner(io.NewSectionReader(f, 0, f.info.Size()))
		lines.Buffer(nil, 16*uapi.MaxLine)
		for lines.Scan() {
			line, err := history.Parse(lines.Bytes())
			if err != nil {
				l.damaged++
				continue
			}
			total++
			add(&line)
		}
		if err := lines.Err(); err != nil {
			return fmt.Errorf("%s: %w: is it a file of `wgd watch --log`?", quote.Path(f.Name()), err)
		}
	}
	if total == 0 && l.damaged > 0 {
		return fmt.Errorf("%s is not a file of `wgd watch --log`: it has no event", quote.Path(l.files[len(l.files)-1].Name()))
	}
	return nil
}
