// Package link follows and changes the network interfaces of the kernel, and
// follows its routes (rtnetlink).
//
//   - Watch follows one TUN interface: up, down, MTU, deletion, also after it moved
//     to another network namespace (A55). There it keeps the kernel from giving the
//     interface a link-local address that nobody asked for. It keeps no namespace
//     alive but the one in which it was started (B52).
//   - WatchRoutes reports which routes change, and looks up how a datagram would be
//     routed (A46, A52).
//   - Links reads and changes interfaces, as ip(8) does.
//
// # Namespaces
//
// Watch, WatchRoutes and Open work in the network namespace of the thread that
// calls them, and stay there. OpenAt opens the namespace of an interface.
//
// # Goroutines
//
// Each Watcher and each RouteWatcher has one goroutine, which ends after Close; any
// goroutine may call their methods. A Links has none, and one goroutine at a time
// uses it.
//
// # Units and errors
//
// An MTU is in bytes, a queue length in packets. Errors of operations are sentences
// for a person; errors.Is finds their kind (ErrNotFound and so on) and the kernel's
// error in them.
package link
