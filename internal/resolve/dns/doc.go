// Package dns looks up the addresses of a host as this computer is configured to:
// in /etc/hosts, and at the name servers of /etc/resolv.conf. It is for a daemon
// that follows a name for weeks, and so differs from package net:
//
//   - an Answer tells for how long it holds;
//   - an Error tells whether the name does not exist, has no address, or nobody
//     could be asked;
//   - /etc/resolv.conf, /etc/hosts and /etc/nsswitch.conf are read again as soon as
//     they change;
//   - questions have a firewall mark, so that they reach the name server when the
//     default route leads into the tunnel whose endpoint is looked up.
//
// What the C library does and the files say is followed where it makes sense in a
// static program: the search list, ndots, timeout, attempts, rotate,
// single-request, use-vc and edns0; three name servers at most; files and dns in
// the order of nsswitch.conf. Other services of nsswitch.conf are modules of the C
// library and are left out. The service resolve counts as dns: the name server in
// /etc/resolv.conf then is systemd-resolved.
//
// # How long an answer holds
//
// A TTL is what the name server says. A caching name server says what is left of
// the original one, so a name can be asked for as soon as the TTL has passed and the
// answer is not from the same cache entry. dnsmasq says 0 for names that it has in
// its own hosts files, and so do we for /etc/hosts: the TTL 0 means that nothing is
// known.
package dns
