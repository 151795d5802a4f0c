// Package readable waits until a socket can be read, so that no buffer is held while
// there is nothing to read, and knows how much can be read.
package readable
