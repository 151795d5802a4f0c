package conf

import (
	"net/netip"
	"strconv"
	"strings"

	"wgd/internal/invalid"
	"wgd/internal/quote"
)

// SplitEndpointName returns the host and the port of HOST:PORT. The host must be
// a name, and the port a number from 1 to 65535.
func SplitEndpointName(s string) (host string, port uint16, err error) {
	host, text, _ := strings.Cut(s, ":")
	n, err := strconv.ParseUint(text, 10, 16)
	if _, notAName := netip.ParseAddr(host); err != nil || n == 0 || notAName == nil || !validHost(host) {
		return "", 0, invalid.Errorf("endpoint name %s: give HOST:PORT, with the name of a host and a port from 1 to 65535", quote.Name(s))
	}
	return host, uint16(n), nil
}

// maxHostLen is the length of the longest name that DNS can have.
const maxHostLen = 253

func validHost(host string) bool {
	host = strings.TrimSuffix(host, ".")
	if host == "" || len(host) > maxHostLen {
		return false
	}
	for label := range strings.SplitSeq(host, ".") {
		if label == "" || len(label) > 63 {
			return false
		}
		for _, r := range label {
			if (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '_' {
				return false
			}
		}
	}
	return true
}
