// Package resolved tells systemd-resolved, over D-Bus, which name servers and domains
// belong to a link. It is a client only: it does not decide whether systemd-resolved is
// what this computer resolves names with.
//
// Only a system bus of this network namespace counts. In a container or in a network
// namespace of `ip netns`, the bus of the host can often be reached, because its socket is
// a file. The systemd-resolved behind it knows the links of the host, and would apply a
// call to whichever of them has the same index.
//
// No call starts systemd-resolved. Where it is enabled, systemd has started it long
// before. But where the bus could start it, calls wait some seconds for it, because it may
// just be started again.
//
// What it does, as seen with version 252:
//
//   - It accepts name servers for a link that is down, and for one without addresses. It
//     asks them only when the link is up and has an address that is not link-local.
//   - A new link is unknown to it until it has read the kernel's event. Set waits for that.
//   - It forgets a link that is deleted, and with it what was set. RevertLink then fails.
//   - It refuses a link that systemd-networkd manages, and drops what was set on a link
//     when systemd-networkd begins to manage it.
//   - It refuses callers that are not root, even with CAP_NET_ADMIN
//     (findings/resolved-wants-uid-0.sh).
//   - It saves what was set in /run/systemd/resolve/netif, and its unit keeps that folder
//     (RuntimeDirectoryPreserve=yes). A restart or a crash therefore loses nothing, as long
//     as the folder is there.
//   - When the bus restarts, it goes on resolving names, but does not connect to the new
//     bus until it is itself restarted (findings/resolved-leaves-bus.sh).
//   - It caches answers for each link, and drops those of a server that Set replaces. No
//     cache needs to be flushed.
package resolved
