// Package serve connects a store of peers with interfaces: it answers what arrives for
// peers that an interface does not have, keeps the peers that it has lent as the store has
// them, and records what was seen of them. Daemon is all that it needs of an interface.
package serve
