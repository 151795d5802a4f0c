package udp

import "errors"

// Listen opens the sockets of both families on one port; port 0 finds one that
// is free in both (A53). A host without one of the families gets the other
// alone (B21).
func Listen(port uint16, o Options) (*Pair, error) {
	return nil, errors.New("udp: contract")
}
