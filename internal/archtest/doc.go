// Package archtest keeps the tree as docs/architecture.md and CONTRIBUTING.md
// describe it. It has tests only:
//
//   - which room may import which, what a pure room may not do, and where the
//     operating system may be used;
//   - how long a file and a function may be;
//   - that a test cites each rule of the protocol, and that everything is there
//     to which pages and comments refer;
//   - that the library is documented, without citing rules;
//   - that nothing has a name that was given up for a term of the field, and that
//     the glossary is right;
//   - that pages have one width, that their Go code is part of a test, and which
//     form decisions, measurements and the scripts in findings/ have.
package archtest
