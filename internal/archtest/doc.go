// Package archtest keeps the tree as docs/architecture.md describes it. It has
// tests only: which room may import which, what a pure room may not do, where
// the operating system may be touched, how long a file and a function may be,
// that every rule of the protocol is cited by a test, that what pages and
// comments refer to is there, and what form the scripts in findings/ have.
package archtest
