package yield

import "time"

const (
	// maxWork is how long work may take between two pauses.
	maxWork = 2 * time.Millisecond
	// pause is as long as the shortest sleep really is.
	pause = time.Millisecond
)

// A Pacer makes pauses in long work that is not urgent, such as an answer of megabytes.
// Goroutines and other programs wait for a processor for as long as such work takes in
// one piece, which is 10 ms in Go with one processor, and several milliseconds in the
// kernel if all cores are busy.
type Pacer struct{ since time.Time }

// StartPacer returns a Pacer for work that begins now.
func StartPacer() Pacer { return Pacer{time.Now()} }

// Pause sleeps if the work has taken long since it began, or since the last pause.
func (p *Pacer) Pause() {
	if time.Since(p.since) < maxWork {
		return
	}
	time.Sleep(pause)
	p.since = time.Now()
}

// Begin says that the work begins again, after another kind of pause.
func (p *Pacer) Begin() { p.since = time.Now() }
