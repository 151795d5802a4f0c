// Package wgimport makes configuration files of ours from what other programs
// have: keyfiles of NetworkManager, .netdev and .network files of
// systemd-networkd, files of wg-quick and its relatives on other systems, and
// zip files that hold any of them.
//
// No key of a source is lost without a word. Each is carried over, or is known
// to mean nothing to a tunnel, or gets a Note. A value reaches the result only if
// package wgconf accepts it for the directive that it becomes, alone and in one
// line; so nothing in a source can add a directive, a comment or a section.
//
// Each format has a table of the keys that it knows: keyfile.go and networkd.go.
// A draft collects what they find, and routes.go decides which routes the
// directive Table makes, and which need a hook.
//
// The formats are those of NetworkManager 1.42 and systemd 252, as they were
// tried out, and in addition the credentials of systemd 256.
package wgimport
