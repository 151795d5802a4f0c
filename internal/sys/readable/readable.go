// Package readable waits until a socket can be read, so that no buffer is held
// while there is nothing to read.
package readable
