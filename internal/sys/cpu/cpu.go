// Package cpu measures how much of the machine's processor time is used, and how
// much of it by this process.
package cpu

import "time"

// Times are processor times since an arbitrary moment; only differences are
// meaningful.
type Times struct {
	// Idle is the sum of the times for which the processors on which this process
	// may run were idle, in steps of about 10 ms.
	Idle time.Duration
	// Own is the processor time that this process has used.
	Own time.Duration
}
