// Package engine runs the pure rooms in a World: it owns the goroutines of one
// interface. Their number depends on the cores, never on peers or packets:
//
//	tunReader      interface → Encapsulator → socket
//	socketReader   socket → Decapsulator → interface, one for each address family
//	               (package lanes adds more of both during a backlog)
//	coreLoop       all input of the protocol machine, in order
//	routes         looks up the routes to endpoints
//	names          a follow.Follower, which looks up the names of endpoints, and for
//	               each of at most 16 lookups at once another one
//	workers        Diffie-Hellman jobs of the machine; at most one job fewer at
//	               once than Go has processors
//
// They share the machine, under one lock that coreLoop and configuration take,
// and the state in packages peer and index, which need no lock.
package engine
