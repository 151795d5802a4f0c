// Package archtest checks that the tree is as docs/architecture.md and
// CONTRIBUTING.md describe it. It has tests only. They check
//
//   - which rooms import which, that pure rooms are pure, and where the operating
//     system is used;
//   - the length of files and functions;
//   - that a test cites each rule of the protocol, and that everything exists to
//     which pages and comments refer;
//   - that the library is documented, without citing rules;
//   - that no retired word is used, and that the glossary is correct;
//   - that nothing is unused, or used by tests only;
//   - that no secret is passed by value;
//   - that pages have one width and their Go code is part of a test, and the form
//     of decisions, measurements and the scripts in findings/.
package archtest
