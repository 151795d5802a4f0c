// Package lab simulates hosts. Each is a process in network, mount, process
// and host-name namespaces of its own, with its own /run, /etc and /var/lib, so
// that several hosts of one test can each have a wg0, a control socket and
// keys in /etc/wg. Links between them are veth pairs. Routers, bridges and
// NATs are hosts too.
//
// The process of a host is this program, executed again: BecomeAgent, called
// first, makes it the agent of the host. The agent also generates traffic: the
// test calls it over a socket to echo, to send every payload size, to send a
// numbered flow, to record the packets of an interface. When the test ends or
// crashes, the socket closes and the agent exits. It is process 1 of its
// namespace, so the kernel ends everything that ran on the host.
//
// A program that measures has no testing.T: Bound makes a T for it. Workers (Crew)
// do what the agent cannot. They too are this program, executed again in the
// network namespace of a host.
//
// A shell on the host runs the commands, as for a person:
// h.Must("wg-ifconfig wg0 create").
package lab
