// Package wgconf reads and writes the configuration files of wg-quick(8).
//
// It has two layers:
//
//   - A Document is the text of a file, cut into lines and sections. Every text
//     is a Document, and Bytes gives the same text back, byte for byte.
//   - A File is what the text means, in types that cannot be wrong. Decode makes
//     it from a Document, or says all that is wrong with the text.
//
// File.Change is what the file wants of the tunnel, as a conf.Change; Network is
// what it wants of the system: addresses, routes, DNS, hooks. Document.Update
// makes a text say what another File says, and changes only the lines in
// question.
//
// The tables in interface.go and peer.go have one row for each directive: how
// it is read and written, and what the manual page says about it.
//
// The format is that of wireguard-tools 1.0.20260223, as it was tried out; that
// program and version 1.0.20210914 are meant wherever a comment says wg or
// wg-quick. test/interop compares both with this package.
package wgconf
