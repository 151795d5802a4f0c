package control

import (
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
