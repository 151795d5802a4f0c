// Package interop has tests only: the tunnel with wireguard-go, as initiator and
// as responder, and with wg and wg-quick. It is a separate module, so that wgd
// does not depend on wireguard-go, which runs as a process on a host of the lab.
package interop
