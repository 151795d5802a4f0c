// Package probe finds out whether a network reports that a UDP port cannot be reached.
package probe

import (
	"net/netip"
	"sync"
	"time"
)

// maxAtOnce is how many probes All runs at the same time.
const maxAtOnce = 64

// All sends an empty datagram with the firewall mark to each endpoint, which WireGuard
// ignores, and waits until the limit for reports by ICMP. It returns the names of the
// errors, such as ECONNREFUSED, of those about which there was one.
func All(endpoints []netip.AddrPort, mark uint32, limit time.Duration) map[netip.AddrPort]string {
	var mu sync.Mutex
	found := make(map[netip.AddrPort]string)
	var running sync.WaitGroup
	slots := make(chan struct{}, maxAtOnce)
	for _, endpoint := range endpoints {
		slots <- struct{}{}
		running.Go(func() {
			defer func() { <-slots }()
			if name := one(endpoint, mark, limit); name != "" {
				mu.Lock()
				defer mu.Unlock()
				found[endpoint] = name
			}
		})
	}
	running.Wait()
	return found
}
