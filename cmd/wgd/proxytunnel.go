package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"runtime"
	"slices"

	"wgd/conf"
	"wgd/internal/proxyconf"
	"wgd/internal/resolve"
	"wgd/internal/resolve/inturn"
	"wgd/internal/state"
	"wgd/internal/wgconf"
	"wgd/netstack"
	"wgd/wg"
)

// A stackTunnel is a tunnel whose interface is a TCP/IP stack in this process.
type stackTunnel struct {
	*netstack.Stack
	tunnel  *wg.Interface
	network wgconf.Network // what the stack was made from
	family  proxyconf.Family
	mark    uint32 // FwMark of the file
	check   proxyconf.CheckAlive
	memory  trimmer
}

// proxyStateDir returns the folder for the timestamps of handshakes, "" where package state
// cannot replace files. Only tests change it.
var proxyStateDir = func() string {
	if runtime.GOOS == "windows" {
		return ""
	}
	return state.DefaultDir()
}

// openStack opens the tunnel that a file describes. The timestamps of its handshakes are
// stored in stateDir.
func openStack(name string, config *proxyconf.Config, stateDir string, log *slog.Logger) (*stackTunnel, error) {
	n := config.Tunnel.Interface.Network
	if len(n.Addresses) == 0 {
		return nil, fmt.Errorf("%s: the file has no Address: without one, nothing can be sent: add a line Address = ADDRESS/LENGTH to [Interface]", name)
	}
	options := netstack.Options{Name: name, Addresses: n.Addresses, MTU: n.MTU, NameServers: n.DNS.Servers}
	for _, domain := range n.DNS.Search {
		options.Search = append(options.Search, string(domain))
	}
	netstack.SetLog(log)
	stack, err := netstack.New(options)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	tunnel, err := wg.Open(wg.Options{Name: name, Device: stack, StateDir: stateDir, Log: log})
	if err != nil {
		return nil, err // Open has closed the stack
	}
	return &stackTunnel{Stack: stack, tunnel: tunnel, network: n, family: config.Preferred,
		mark: fileMark(config), check: config.Check}, nil
}

// fileMark returns FwMark of a file; 0: none.
func fileMark(config *proxyconf.Config) uint32 {
	if mark := config.Tunnel.Interface.FwMark; mark != nil {
		return *mark
	}
	return 0
}

func (t *stackTunnel) close() {
	t.tunnel.Close()
	t.Stack.Close()
}

// followNames makes peers follow their endpoints that are names.
func followNames(file *wgconf.File, change *conf.Change) error {
	for i := range file.Peers {
		endpoint := file.Peers[i].Endpoint
		if endpoint == (resolve.Endpoint{}) || change.Peers[i].Endpoint != nil {
			continue
		}
		named, err := endpoint.Named()
		if err != nil {
			return err
		}
		change.Peers[i].EndpointName = &named
	}
	return nil
}

// DialContext connects to an address through the tunnel.
func (t *stackTunnel) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	t.memory.connected()
	return t.Stack.DialContext(ctx, network, address)
}

// needsRestart returns the keys whose values in the file are other ones now, and that a
// reload does not change.
func (t *stackTunnel) needsRestart(config *proxyconf.Config) (keys []string) {
	n := &config.Tunnel.Interface.Network
	checks := len(t.check.Addresses) > 0 && len(config.Check.Addresses) > 0 // before and now
	for _, k := range []struct {
		name string
		same bool
	}{
		{"Address", slices.Equal(t.network.Addresses, n.Addresses)},
		{"MTU", t.network.MTU == n.MTU},
		{"DNS", slices.Equal(t.network.DNS.Servers, n.DNS.Servers) && slices.Equal(t.network.DNS.Search, n.DNS.Search)},
		{"FwMark", t.mark == fileMark(config)},
		{"CheckAlive", slices.Equal(t.check.Addresses, config.Check.Addresses)},
		{"CheckAliveInterval", !checks || t.check.Interval == config.Check.Interval},
		{"ResolveStrategy", t.family == config.Preferred},
	} {
		if !k.same {
			keys = append(keys, k.name)
		}
	}
	return keys
}

// errNoDNS is the error for a name if the file has no name server.
var errNoDNS = errors.New("names are looked up inside the tunnel only, and the file names no name server: add a line DNS = ADDRESS to [Interface], or give an IP address")

// LookupNetIP looks up a name inside the tunnel. The addresses of the preferred family
// come first, and those of a family that the tunnel has no address of are left out.
func (t *stackTunnel) LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error) {
	if len(t.network.DNS.Servers) == 0 {
		return nil, fmt.Errorf("%s: %w", host, errNoDNS)
	}
	list, err := t.Stack.LookupNetIP(ctx, network, host)
	if err != nil {
		return nil, err
	}
	return prefer(list, t.family, t.network.Addresses), nil
}

func prefer(list []netip.Addr, family proxyconf.Family, own []netip.Prefix) []netip.Addr {
	list = slices.DeleteFunc(slices.Clone(list), func(a netip.Addr) bool { return !hasFamily(own, a) })
	order(list, family)
	return list
}

// hasFamily reports whether one of the own addresses is of the family of a.
func hasFamily(own []netip.Prefix, a netip.Addr) bool {
	return slices.ContainsFunc(own, func(p netip.Prefix) bool { return p.Addr().Is4() == a.Is4() })
}

// order moves the addresses of the preferred family to the front.
func order(list []netip.Addr, family proxyconf.Family) {
	if family == proxyconf.Auto {
		return
	}
	slices.SortStableFunc(list, func(a, b netip.Addr) int {
		switch first := family == proxyconf.IPv4; {
		case a.Is4() == b.Is4():
			return 0
		case a.Is4() == first:
			return -1
		}
		return 1
	})
}

// localAddresses returns the addresses of a host outside of the tunnel, without asking a
// name server.
func localAddresses(host string) []netip.Addr {
	hosts, _ := os.ReadFile("/etc/hosts")
	return proxyconf.LocalAddresses(host, string(hosts))
}

// outsideAddresses returns the addresses of a target outside of the tunnel, those of the
// preferred family first. A name that is not known on this computer is looked up inside the
// tunnel, and nowhere else.
func (t *stackTunnel) outsideAddresses(ctx context.Context, host string) ([]netip.Addr, error) {
	list := localAddresses(host)
	if len(list) == 0 {
		if len(t.network.DNS.Servers) == 0 {
			return nil, fmt.Errorf("%s: %w", host, errNoDNS)
		}
		var err error
		if list, err = t.Stack.LookupNetIP(ctx, "ip", host); err != nil {
			return nil, err
		}
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("%s: the name has no address", host)
	}
	order(list, t.family)
	return inturn.Alternate(list), nil
}

// dialOutside connects to a target outside of the tunnel.
func (t *stackTunnel) dialOutside(ctx context.Context, network string, target proxyconf.Target) (net.Conn, error) {
	var d net.Dialer
	if target.Unix != "" {
		return d.DialContext(ctx, "unix", target.Unix)
	}
	list, err := t.outsideAddresses(ctx, target.Host)
	if err != nil {
		return nil, err
	}
	return inturn.First(ctx, list, func(ctx context.Context, a netip.Addr) (net.Conn, error) {
		return d.DialContext(ctx, network, netip.AddrPortFrom(a, target.Port).String())
	})
}
