// Package termtest opens pseudoterminals, for tests of what is written to a
// terminal.
package termtest
