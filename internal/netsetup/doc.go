// Package netsetup does what wg-quick(8) does, without other programs: addresses, MTU,
// routes, the policy routing of a default route, and its firewall rules. Name servers
// are set by package nameserver, and hooks are the command's.
//
// It has three parts:
//
//   - Plan works out the steps that make the system what a configuration file wants. It
//     is a function of the file and of Facts about the system, and does nothing.
//   - A Setup carries out steps, and undoes them. Each is recorded in a file before it
//     is begun, so that everything can be undone by another process, also if this one
//     was killed in the middle.
//   - A Kernel gathers the facts, and does the steps.
//
// What is undone is what the record says. Nothing is recognized by a mark or a name that
// somebody else might use too.
package netsetup
