// Package lab simulates hosts. Each is a process in network, mount, process
// and host-name namespaces of its own, with its own /run, /etc and /var/lib, so
// that several hosts of one test may each have a wg0, a control socket and
// keys in /etc/wg. Links between them are veth pairs; routers, bridges and
// NATs are hosts too.
//
// The process that holds a host is this program itself, started again: Main,
// called first thing, becomes the agent when it finds itself there. The agent
// is also the host's traffic: over a socket the test asks it to echo, to send
// every payload size, to keep a numbered flow going, to watch a wire. When the
// test ends, or dies, the agent's socket closes and it exits; it is process 1
// of its namespace, so everything that ran on the host goes with it.
//
// Programs that measure have no test: Bound brings one. What needs more than the
// agent can do is done by workers (Crew), which are this program once more, on a
// host's network.
//
// Commands are run as a person would, by a shell on the host: h.Must("wg-ifconfig
// wg0 create").
package lab
