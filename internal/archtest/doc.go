// Package archtest keeps the tree as docs/architecture.md describes it. It has
// tests only: which room may import which, what a pure room may not do, where
// the operating system may be touched, how long a file and a function may be,
// and that every rule of the protocol is cited by a test.
package archtest
