package netstack

import (
	"fmt"

	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"
)

// The sizes of a connection's buffers in bytes. They are limits, not memory that
// is reserved. A buffer begins at its default size and grows up to its largest
// one when the round trip and the rate of the connection need it. Half of the
// receive buffer is the window that the other side sees.
const (
	minBuffer         = 4 << 10
	sendBuffer        = 256 << 10
	maxSendBuffer     = 6 << 20
	receiveBuffer     = 512 << 10
	maxReceiveBuffer  = 8 << 20
	congestionControl = "cubic"
)

// configureTCP sets the options for all TCP connections. BenchmarkPaths compares them;
// see docs/decisions/stack-tcp.md.
func configureTCP(s *stack.Stack) error {
	var (
		sack     = tcpip.TCPSACKEnabled(true)
		recovery = tcpip.TCPRACKLossDetection
		control  = tcpip.CongestionControlOption(congestionControl)
		moderate = tcpip.TCPModerateReceiveBufferOption(true)
		send     = tcpip.TCPSendBufferSizeRangeOption{Min: minBuffer, Default: sendBuffer, Max: maxSendBuffer}
		receive  = tcpip.TCPReceiveBufferSizeRangeOption{Min: minBuffer, Default: receiveBuffer, Max: maxReceiveBuffer}
	)
	for _, o := range []struct {
		what  string
		value tcpip.SettableTransportProtocolOption
	}{
		{"enable selective acknowledgements", &sack},
		{"enable loss detection by time (RACK)", &recovery},
		{"choose the congestion control " + congestionControl, &control},
		{"let receive buffers grow", &moderate},
		{"set the sizes of send buffers", &send},
		{"set the sizes of receive buffers", &receive},
	} {
		if err := s.SetTransportProtocolOption(tcp.ProtocolNumber, o.value); err != nil {
			return fmt.Errorf("%s: %v", o.what, err)
		}
	}
	return nil
}
