package netstack

import (
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
)

// A link is the device as the stack sees it: a stack.LinkEndpoint and a
// stack.GSOEndpoint. There is no link layer, so most methods do nothing.
type link struct{ *device }

var (
	_ stack.LinkEndpoint = link{}
	_ stack.GSOEndpoint  = link{}
)

func (l link) MTU() uint32 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.mtu
}

func (l link) SetMTU(mtu uint32) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.mtu = mtu
}

func (l link) Attach(dispatcher stack.NetworkDispatcher) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.dispatcher = dispatcher
}

func (l link) IsAttached() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.dispatcher != nil
}

func (l link) SetOnCloseAction(f func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.onClose = f
}

func (l link) Close() {
	l.mu.Lock()
	f := l.onClose
	l.mu.Unlock()
	l.device.Close()
	if f != nil {
		f()
	}
}

func (link) GSOMaxSize() uint32                           { return gsoMaxSize }
func (link) SupportedGSO() stack.SupportedGSO             { return stack.HostGSOSupported }
func (link) MaxHeaderLength() uint16                      { return 0 }
func (link) LinkAddress() tcpip.LinkAddress               { return "" }
func (link) SetLinkAddress(tcpip.LinkAddress)             {}
func (link) Capabilities() stack.LinkEndpointCapabilities { return stack.CapabilityNone }
func (link) Wait()                                        {}
func (link) ARPHardwareType() header.ARPHardwareType      { return header.ARPHardwareNone }
func (link) AddHeader(*stack.PacketBuffer)                {}
func (link) ParseHeader(*stack.PacketBuffer) bool         { return true }
