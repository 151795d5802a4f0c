package main

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"wgd/conf"
	"wgd/internal/cli"
	"wgd/internal/control"
	"wgd/internal/sys/link"
)

// A flag is a flag of an interface or address, as NetBSD shows it.
type flag struct {
	set    bool
	number int
	name   string
}

// flags formats the flags that are set, as NetBSD does: 0 if there are none.
func flags(all ...flag) string {
	number := 0
	var on []string
	for _, f := range all {
		if f.set {
			number |= f.number
			on = append(on, f.name)
		}
	}
	if number == 0 {
		return "0"
	}
	return fmt.Sprintf("0x%x<%s>", number, strings.Join(on, ","))
}

// A view is what is shown of an interface.
type view struct {
	Name         string         `json:"name"`
	Up           bool           `json:"up"`
	Running      bool           `json:"running"`
	Multicast    bool           `json:"multicast"`
	MTU          int            `json:"mtu"`
	Fault        *string        `json:"fault"`
	Addresses    []netip.Prefix `json:"addresses"`
	PointToPoint []pair         `json:"point_to_point,omitempty"`
	info         link.Info
}

// A pair is an address with a peer address (point-to-point).
type pair struct {
	Address netip.Prefix `json:"address"`
	Peer    netip.Addr   `json:"peer"`
}

// show shows one interface, or all wg interfaces.
func show(c *cli.Call) error {
	links, err := link.Open()
	if err != nil {
		return err
	}
	defer links.Close()
	name := c.Arg("INTERFACE")
	if name == "" {
		infos, err := ours(links)
		if err != nil {
			return err
		}
		return showAll(c, infos)
	}
	if err := conf.ValidInterfaceName(name); err != nil {
		return err
	}
	info, err := links.Get(name)
	switch {
	case errors.Is(err, link.ErrNotFound):
		return notThere(name)
	case err != nil:
		return err
	case !isOurs(info):
		return notOurs(name)
	}
	v := query(info)
	if c.Has("json") {
		return c.PrintJSON(v)
	}
	_, err = fmt.Fprint(c.Stdout, v)
	return err
}

func showAll(c *cli.Call, infos []link.Info) error {
	views := make([]view, 0, len(infos))
	for _, info := range infos {
		views = append(views, query(info))
	}
	if c.Has("json") {
		return c.PrintJSON(views)
	}
	for _, v := range views {
		if _, err := fmt.Fprint(c.Stdout, v); err != nil {
			return err
		}
	}
	return nil
}

// list prints the names of the wg interfaces in one line, as NetBSD does.
func list(c *cli.Call) error {
	links, err := link.Open()
	if err != nil {
		return err
	}
	defer links.Close()
	infos, err := ours(links)
	if err != nil {
		return err
	}
	var names []string
	for _, info := range infos {
		names = append(names, info.Name)
	}
	_, err = fmt.Fprintln(c.Stdout, strings.Join(names, " "))
	return err
}

// ours returns the wg interfaces.
func ours(links *link.Links) ([]link.Info, error) {
	all, err := links.List()
	if err != nil {
		return nil, err
	}
	var infos []link.Info
	for _, info := range all {
		if isOurs(info) {
			infos = append(infos, info)
		}
	}
	return infos, nil
}

// isOurs reports whether it is a wg interface: a TUN interface whose daemon listens. A
// socket without a daemon does not count, because the interface may be a persistent one
// that remained after its daemon.
func isOurs(info link.Info) bool {
	return info.Kind == link.KindTUN && control.Running(info.Name)
}

// query asks the daemon whether the interface works, if this user may connect to it.
func query(info link.Info) view {
	fault := ""
	if status, err := control.StatusOf(info.Name); err == nil {
		fault = status.Fault
	}
	return viewOf(info, fault)
}

func viewOf(info link.Info, fault string) view {
	v := view{
		Name: info.Name, Up: info.Up, Running: info.Up && info.Running, Multicast: info.Multicast,
		MTU: info.MTU, Addresses: []netip.Prefix{}, info: info,
	}
	if fault != "" {
		v.Running, v.Fault = false, &fault
	}
	for _, a := range info.Addresses {
		v.Addresses = append(v.Addresses, a.Prefix)
		if a.Peer.IsValid() {
			v.PointToPoint = append(v.PointToPoint, pair{a.Prefix, a.Peer})
		}
	}
	return v
}

// String formats the interface as NetBSD does, with IPv6 before IPv4.
func (v view) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: flags=%s mtu %d\n", v.Name,
		flags(flag{v.Up, 0x1, "UP"}, flag{v.Running, 0x40, "RUNNING"}, flag{v.Multicast, 0x8000, "MULTICAST"}), v.MTU)
	status := "inactive"
	if v.Running {
		status = "active"
	}
	fmt.Fprintf(&b, "\tstatus: %s\n", status)
	for _, is4 := range []bool{false, true} {
		for _, a := range v.info.Addresses {
			if a.Prefix.Addr().Is4() == is4 {
				b.WriteString(v.addressLine(a))
			}
		}
	}
	if v.Fault != nil {
		fmt.Fprintf(&b, "\tfault: %s\n", *v.Fault)
	}
	return b.String()
}

func (v view) addressLine(a link.Address) string {
	family, scope := "inet6", ""
	own := a.Prefix.Addr()
	switch {
	case own.Is4():
		family = "inet"
	case own.IsLinkLocalUnicast():
		own, scope = own.WithZone(v.Name), fmt.Sprintf(" scopeid 0x%x", v.info.Index)
	}
	peer := ""
	if a.Peer.IsValid() {
		peer = " -> " + a.Peer.String()
	}
	// All addresses have NODAD, so it is left out.
	state := flags(flag{a.Tentative, 0x2, "TENTATIVE"}, flag{a.Duplicated, 0x4, "DUPLICATED"},
		flag{a.Deprecated, 0x10, "DEPRECATED"}, flag{a.Temporary, 0x80, "TEMPORARY"})
	return fmt.Sprintf("\t%s %s/%d%s flags %s%s\n", family, own, a.Prefix.Bits(), peer, state, scope)
}
