package netsetup

import (
	"errors"

	"wgd/conf"
	"wgd/internal/control"
	"wgd/internal/sys/nft"
)

// Configure changes the tunnel.
func (k *Kernel) Configure(name string, change conf.Change) error {
	client, err := control.Dial(name)
	if err != nil {
		return err
	}
	defer client.Close()
	return client.Apply(change)
}

// Live gathers what an interface that is up has, except Guards.
func (k *Kernel) Live(name string, status *conf.Status) (live Live, err error) {
	info, err := k.Get(name)
	if err != nil {
		return Live{}, err
	}
	live = Live{MTU: info.MTU, Mark: status.FirewallMark}
	for _, a := range info.Addresses {
		if !a.Peer.IsValid() {
			live.Addresses = append(live.Addresses, a.Prefix)
		}
	}
	if live.Routes, err = k.AllRoutesTo(name); err != nil {
		return Live{}, err
	}
	for _, ipv6 := range []bool{false, true} {
		rules, err := k.Rules(ipv6)
		if err != nil {
			return Live{}, err
		}
		live.Rules = append(live.Rules, rules...)
	}
	live.ValidMark, _ = readValidMark()
	return live, nil
}

// Guards returns which firewall tables of the steps are there as they should be, for
// Live.Guards.
func (k *Kernel) Guards(steps []Step) (map[string]bool, error) {
	guards := map[string]bool{}
	for _, s := range steps {
		if s.Guard == nil {
			continue
		}
		there, err := s.Guard.Present()
		if err != nil && !errors.Is(err, nft.ErrUnsupported) {
			return nil, err
		}
		guards[s.Guard.String()] = there || err != nil // without nftables, nothing is missing
	}
	return guards, nil
}
