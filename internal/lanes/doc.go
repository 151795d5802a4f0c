// Package lanes decides how many goroutines and queues carry the packets of one
// direction, and how many of Go's processors the process has meanwhile.
package lanes
