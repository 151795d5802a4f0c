//go:build !linux

package probe

import (
	"net/netip"
	"time"
)

func one(netip.AddrPort, uint32, time.Duration) string { return "" }
