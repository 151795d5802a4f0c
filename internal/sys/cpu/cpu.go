// Package cpu tells how much of the machine's processors is used, and by whom.
package cpu

import "time"

// Times are counted from some moment on; only differences mean something.
type Times struct {
	// Idle is the time for which the processors on which this process may run
	// had nothing to do, all of them added, in steps of about 10 ms.
	Idle time.Duration
	// Own is the processor time that this process has used.
	Own time.Duration
}
