// Package netns runs functions in a network namespace other than the caller's.
// No other package enters one.
//
// A namespace is represented by an open file, which keeps it alive (B52): the caller
// closes the file as soon as it does not need it any more.
package netns
