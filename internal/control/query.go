package control

import (
	"sync"
	"time"

	"wgd/conf"
)

// pollInterval is the time between two polls of WaitFor.
const pollInterval = 10 * time.Millisecond

// StatusOf returns the status of the interface with this name. The errors are
// those of Dial and Client.Status.
func StatusOf(name string) (conf.Status, error) {
	client, err := Dial(name)
	if err != nil {
		return conf.Status{}, err
	}
	defer client.Close()
	return client.Status()
}

// A Reading is what was read of one interface.
type Reading struct {
	Name   string
	Status conf.Status // valid if Err is nil
	Err    error       // as of StatusOf
}

// readingTimeout is how long a daemon may pause in an answer to Statuses: a person waits,
// and the others may have answered.
var readingTimeout = 5 * time.Second // changed in tests

// Statuses reads all these interfaces at the same time, so that a daemon that does not
// answer delays the others by a few seconds only.
func Statuses(names []string) []Reading {
	list := make([]Reading, len(names))
	var group sync.WaitGroup
	for i, name := range names {
		group.Go(func() {
			r := &list[i]
			r.Name = name
			client, err := Dial(name)
			if err != nil {
				r.Err = err
				return
			}
			defer client.Close()
			client.conn.timeout = readingTimeout
			r.Status, r.Err = client.Status()
		})
	}
	group.Wait()
	return list
}

// WaitFor polls until done returns true, and reports whether it did within the
// limit. It is for what a daemon does without saying so, such as ending.
func WaitFor(limit time.Duration, done func() bool) bool {
	for end := time.Now().Add(limit); ; time.Sleep(pollInterval) {
		if done() {
			return true
		}
		if time.Now().After(end) {
			return false
		}
	}
}
