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

// The flags that NetBSD's wg interfaces may have.
const (
	flagUp        = 0x1
	flagRunning   = 0x40
	flagMulticast = 0x8000
)

// view is an interface as it is shown.
type view struct {
	Name      string         `json:"name"`
	Up        bool           `json:"up"`
	Running   bool           `json:"running"`
	MTU       int            `json:"mtu"`
	Fault     *string        `json:"fault"`
	Addresses []netip.Prefix `json:"addresses"`
	index     int
}

// show shows one interface, or all.
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
	v := look(info)
	if c.Has("json") {
		return c.PrintJSON(v)
	}
	_, err = fmt.Fprint(c.Stdout, v)
	return err
}

func showAll(c *cli.Call, infos []link.Info) error {
	views := make([]view, 0, len(infos))
	for _, info := range infos {
		views = append(views, look(info))
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

// list prints the names in one line, as NetBSD does.
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

// ours are the wg interfaces among all.
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

// isOurs: a TUN interface whose daemon listens. A socket that was left behind does
// not count: the interface may be one that was there before the daemon, and stays.
func isOurs(info link.Info) bool {
	return info.Kind == link.KindTUN && control.Running(info.Name)
}

// look asks the daemon, if it may be asked, whether the interface works.
func look(info link.Info) view {
	v := view{
		Name: info.Name, Up: info.Up, Running: info.Up && info.Running,
		MTU: info.MTU, Addresses: info.Addresses, index: info.Index,
	}
	if v.Addresses == nil {
		v.Addresses = []netip.Prefix{}
	}
	if status, err := statusOf(info.Name); err == nil && status.Fault != "" {
		v.Running, v.Fault = false, &status.Fault
	}
	return v
}

// String is NetBSD's form: IPv6 before IPv4.
func (v view) String() string {
	var b strings.Builder
	number, names := v.flags()
	fmt.Fprintf(&b, "%s: flags=0x%x<%s> mtu %d\n", v.Name, number, names, v.MTU)
	status := "inactive"
	if v.Running {
		status = "active"
	}
	fmt.Fprintf(&b, "\tstatus: %s\n", status)
	for _, a := range v.Addresses {
		switch {
		case a.Addr().Is4():
		case a.Addr().IsLinkLocalUnicast():
			fmt.Fprintf(&b, "\tinet6 %s%%%s/%d flags 0 scopeid 0x%x\n", a.Addr(), v.Name, a.Bits(), v.index)
		default:
			fmt.Fprintf(&b, "\tinet6 %s flags 0\n", a)
		}
	}
	for _, a := range v.Addresses {
		if a.Addr().Is4() {
			fmt.Fprintf(&b, "\tinet %s flags 0\n", a)
		}
	}
	if v.Fault != nil {
		fmt.Fprintf(&b, "\tfault: %s\n", *v.Fault)
	}
	return b.String()
}

func (v view) flags() (number int, names string) {
	number = flagMulticast
	var on []string
	if v.Up {
		number |= flagUp
		on = append(on, "UP")
	}
	if v.Running {
		number |= flagRunning
		on = append(on, "RUNNING")
	}
	return number, strings.Join(append(on, "MULTICAST"), ",")
}
