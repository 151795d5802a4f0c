package netsetup

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"wgd/conf"
	"wgd/internal/control"
	"wgd/internal/nameserver"
	"wgd/internal/sys/link"
	"wgd/internal/sys/nft"
)

// How long a daemon may take to notice a change, and to end.
const (
	noticeTime = 5 * time.Second
	endTime    = 10 * time.Second
)

// A Kernel is the System of the network namespace of the thread that opened it.
type Kernel struct {
	*link.Links
	DNS *nameserver.Settings
	// Start starts the daemon of an interface, and returns when it is ready.
	Start func(name string) error
}

// Create starts the daemon.
func (k *Kernel) Create(name string) (index int, err error) {
	if err := k.Start(name); err != nil {
		return 0, err
	}
	info, err := k.Get(name)
	return info.Index, err
}

// Delete deletes the interface, which makes its daemon end, and waits for that.
func (k *Kernel) Delete(name string, index int) error {
	info, err := k.Get(name)
	switch {
	case errors.Is(err, link.ErrNotFound):
		return nil
	case err != nil:
		return err
	case index != 0 && info.Index != index:
		return nil // somebody has created another one of that name
	case index == 0 && (info.Kind != link.KindTUN || !control.Running(name)):
		return nil
	}
	if err := k.Links.Delete(name); err != nil && !errors.Is(err, link.ErrNotFound) {
		return err
	}
	if !control.WaitFor(endTime, func() bool { return !control.Running(name) }) {
		return fmt.Errorf("%s: the interface is gone, but its daemon still runs: end it with kill(1)", name)
	}
	return nil
}

// Find reports whether the interface exists. It returns an error if it exists in another
// network namespace: what belongs to it must be undone there.
func (k *Kernel) Find(name string) (exists bool, err error) {
	_, err = k.Get(name)
	switch {
	case err == nil:
		return true, nil
	case !errors.Is(err, link.ErrNotFound):
		return false, err
	case control.Running(name):
		return false, elsewhere(name)
	}
	return false, nil
}

// elsewhere says why a daemon runs although there is no interface here.
func elsewhere(name string) error {
	status, err := control.StatusOf(name)
	status.Erase()
	if err == nil && status.InProcess {
		return fmt.Errorf("%s: this tunnel is that of a running wgd proxy, and has no interface: it ends with that process", name)
	}
	return fmt.Errorf("%s: its daemon runs, but the interface is not in this network namespace: run the command where the interface was created", name)
}

// SetMark asks the daemon to set the firewall mark.
func (k *Kernel) SetMark(name string, mark uint32) error {
	return k.Configure(name, conf.Change{FirewallMark: &mark})
}

// BringUp brings the interface up, and waits until the daemon has opened its port and the
// addresses can be used.
func (k *Kernel) BringUp(name string) error {
	if err := k.SetUp(name, true); err != nil {
		return err
	}
	var status conf.Status
	var err error
	noticed := control.WaitFor(noticeTime, func() bool {
		status, err = control.StatusOf(name)
		status.Erase()
		return err == nil && status.Up
	})
	switch {
	case err != nil:
		return err
	case !noticed:
		return fmt.Errorf("%s: its daemon did not notice that the interface is up: see its log", name)
	case status.Fault != "":
		return fmt.Errorf("%s: the tunnel does not work: %s", name, status.Fault)
	}
	return k.AwaitAddresses(name)
}

// AwaitAddresses waits until the addresses of the interface can be used.
func (k *Kernel) AwaitAddresses(name string) (err error) {
	usable := control.WaitFor(noticeTime, func() bool {
		var info link.Info
		info, err = k.Get(name)
		return err != nil || !slices.ContainsFunc(info.Addresses, func(a link.Address) bool { return a.Tentative })
	})
	if err == nil && !usable {
		err = fmt.Errorf("%s: the kernel still checks its IPv6 addresses for duplicates", name)
	}
	return err
}

// AddGuard adds the firewall rules.
func (k *Kernel) AddGuard(guard nft.Guard) error { return guard.Add() }

// DeleteGuard removes the firewall rules.
func (k *Kernel) DeleteGuard(guard nft.Guard) error { return guard.Delete() }

// validMark is the file of the setting. The kernel shows that of the network namespace
// of the thread.
const validMark = "/proc/sys/net/ipv4/conf/all/src_valid_mark"

// SetValidMark writes the setting only if it is another one: /proc/sys is often
// read-only in containers, and right already.
func (k *Kernel) SetValidMark(on bool) error {
	now, err := readValidMark()
	if errors.Is(err, fs.ErrNotExist) && !on {
		return nil
	}
	if err == nil && now != on {
		value := "0"
		if on {
			value = "1"
		}
		err = os.WriteFile(validMark, []byte(value), 0)
	}
	if err != nil {
		return fmt.Errorf("net.ipv4.conf.all.src_valid_mark cannot be changed: %w", err)
	}
	return nil
}

func readValidMark() (on bool, err error) {
	text, err := os.ReadFile(validMark)
	return strings.TrimSpace(string(text)) == "1", err
}

// MarksInUse reports whether a rule of IPv4 depends on a firewall mark.
func (k *Kernel) MarksInUse() (bool, error) { return k.UsesMarks() }

// Facts gathers what Plan needs about an interface with this tunnel.
func (k *Kernel) Facts(name string, status *conf.Status, store Store) (facts Facts, err error) {
	facts = Facts{Mark: status.FirewallMark, PathMTU: k.pathMTU(status)}
	for i := range status.Peers {
		facts.AllowedIPs = append(facts.AllowedIPs, status.Peers[i].AllowedIPs...)
	}
	if facts.Routes, err = k.RoutesTo(name); err != nil {
		return Facts{}, err
	}
	if facts.Tables, err = k.Tables(); err != nil {
		return Facts{}, err
	}
	for _, one := range []struct {
		ipv6 bool
		next *uint32
	}{{false, &facts.Priority4}, {true, &facts.Priority6}} {
		list, err := k.Priorities(one.ipv6)
		if err != nil {
			return Facts{}, err
		}
		if *one.next, err = nextPriority(list); err != nil {
			return Facts{}, err
		}
	}
	now, _ := readValidMark()
	facts.ValidMark = store.ValidMarkBefore(name, now)
	return facts, nil
}

// pathMTU is the smallest one on the ways to the endpoints, or else that of the default
// route; 0 if there is neither.
func (k *Kernel) pathMTU(status *conf.Status) (smallest int) {
	for i := range status.Peers {
		endpoint := status.Peers[i].Endpoint
		if !endpoint.IsValid() {
			continue
		}
		if mtu, err := k.PathMTU(endpoint.Addr(), status.FirewallMark); err == nil && (smallest == 0 || mtu < smallest) {
			smallest = mtu
		}
	}
	if smallest == 0 {
		smallest, _ = k.DefaultMTU()
	}
	return smallest
}

// lastPriority is that of the rule for the table main, where a system has no others.
const lastPriority = 32766

// nextPriority is the priority that the kernel would give to a new rule: it puts it
// before all rules but the first. That leaves room for another one.
func nextPriority(list []uint32) (uint32, error) {
	if len(list) < 2 {
		return lastPriority - 1, nil
	}
	if list[1] < list[0]+3 {
		return 0, fmt.Errorf("there is no room for rules after the first one: its priority is %d, and that of the next one %d", list[0], list[1])
	}
	return list[1] - 1, nil
}
