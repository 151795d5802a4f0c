// Package nameserver sets the name servers of tunnels, through what is in charge of them on
// this computer: systemd-resolved, or resolvconf(8), of which there are several, or else the
// file /etc/resolv.conf. What was before is restored when the tunnel goes down, by any process:
// what holds the name servers of each tunnel is recorded before it is changed.
//
// The file is replaced in one step where that is possible, and otherwise, as in
// containers, which mount it, written in place. The original is kept beside it. Tunnels can
// come and go in any order: the file has the name servers of the last one that came, and
// the original returns after the last one has gone. A file that others have put there
// meanwhile is not touched.
package nameserver
