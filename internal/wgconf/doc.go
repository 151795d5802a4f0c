// Package wgconf reads and writes the configuration files of wg-quick(8).
//
// It has two layers:
//
//   - A Document is the text of a file, split into lines and sections. Every text
//     is a Document, and Bytes returns the same text, byte for byte.
//   - A File is the meaning of the text, in types that cannot be invalid. Decode
//     makes it from a Document, or reports all problems of the text.
//
// File.Change is the configuration of the tunnel, as a conf.Change; Network is that
// of the system: addresses, routes, DNS, hooks. Document.Update changes a text to
// have the meaning of another File, and changes only the lines that differ.
//
// The tables in interface.go and peer.go have one row for each directive: how it is
// decoded and encoded, and its description in the manual page.
//
// The format is that of wireguard-tools 1.0.20260223, as found by experiment. Where
// a comment mentions wg or wg-quick, it means this version and 1.0.20210914.
// test/interop compares both with this package.
package wgconf
