// Package interop has tests only: the tunnel against wireguard-go, both as
// initiator and as responder, and under the hands of wg and wg-quick. It is a
// module of its own, so that the system itself does not depend on wireguard-go;
// that runs as a separate process, on a host of the lab.
package interop
