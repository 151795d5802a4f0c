package process

import (
	"fmt"
	"io"
	"os"
	"sync"
)

// LogFile returns a Writer of whole lines to a pipe, a terminal or a file. Writes never
// wait for the reader of a full pipe or for a paused terminal: the line is dropped,
// and the next line that is written reports how many were.
func LogFile(f *os.File) io.Writer { return &logFile{file: f} }

type logFile struct {
	file *os.File
	mu   sync.Mutex
	lost int
}

func (l *logFile) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !writable(l.file) {
		l.lost++
		return len(line), nil
	}
	if l.lost > 0 {
		line = fmt.Appendf(nil, "%d lines of this log were lost: its reader was too slow\n%s", l.lost, line)
		l.lost = 0
	}
	return l.file.Write(line)
}
