package link

import (
	"errors"
	"net/netip"
	"os"
	"reflect"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// All lists that the program reads from the kernel are read by this file
// (internal/archtest). The kernel hands out a list in parts. What changes between two
// parts may be missing, and so may entries that did not change: of several kinds of
// lists the kernel only remembers how many entries it has handed out. Then the list must
// be read again.
//
//   - A list of interfaces carries a mark if it was interrupted.
//   - Lists of routes and rules never do, and lists of addresses not always, although
//     all of them lose entries (findings/unmarked-dumps.sh). For them the announcements
//     of changes are received meanwhile.

const (
	// readings is how often a list is read at most.
	readings = 100
	// strictReadings is how often such a list is read to find a moment
	// without changes. A router that learns routes from others may have none; after that,
	// two equal lists in succession are accepted.
	strictReadings = 50
	// longestPause is the longest pause before the next reading. There is none before
	// the second one, and later ones grow.
	longestPause = 10 * time.Millisecond
)

// errChanging is returned when a list could not be read as a whole.
var errChanging = errors.New("it changes faster than it can be read: try again when there are fewer changes of addresses and routes")

func pauseBefore(reading int) {
	time.Sleep(min(time.Duration(max(reading-1, 0))*time.Millisecond, longestPause))
}

// again repeats a dump until it was not marked as interrupted.
func again[T any](dump func() (T, error)) (T, error) {
	for n := range readings {
		pauseBefore(n)
		list, err := dump()
		if !errors.Is(err, netlink.ErrDumpInterrupted) {
			return list, err
		}
	}
	var none T
	return none, errChanging
}

// settled repeats a dump that the kernel may not mark, until nothing changed meanwhile.
// changed reports whether changes were announced since its last call.
func settled[T any](changed func() bool, dump func() (T, error)) (T, error) {
	var before, none T
	for n := range readings {
		pauseBefore(n)
		changed()
		list, err := again(dump)
		if err != nil || !changed() {
			return list, err
		}
		if n >= strictReadings && reflect.DeepEqual(list, before) {
			return list, nil
		}
		before = list
	}
	return none, errChanging
}

// listen makes the subscription receive groups until the returned function is called.
func (s *subscription) listen(groups ...int) (leave func()) {
	set := func(option int) {
		_ = s.conn.Control(func(fd uintptr) {
			for _, group := range groups {
				_ = unix.SetsockoptInt(int(fd), unix.SOL_NETLINK, option, group)
			}
		})
	}
	set(unix.NETLINK_ADD_MEMBERSHIP)
	return func() {
		set(unix.NETLINK_DROP_MEMBERSHIP)
		s.drain()
	}
}

// drain reads what has arrived and reports whether that was anything.
func (s *subscription) drain() (any bool) {
	_ = s.conn.Control(func(fd uintptr) {
		for {
			_, _, _, _, err := unix.Recvmsg(int(fd), s.buf, nil, unix.MSG_DONTWAIT)
			if err == unix.EAGAIN {
				return
			}
			any = true // ENOBUFS, too: more than the socket could hold
			if err != nil && err != unix.ENOBUFS && err != unix.EINTR {
				return
			}
		}
	})
	return any
}

// readLinks reads all interfaces.
func (l *Links) readLinks() ([]netlink.Link, error) { return again(l.handle.LinkList) }

// find looks up one interface. It is a dump where the kernel cannot look up names.
func (l *Links) find(name string) (netlink.Link, error) {
	link, err := again(func() (netlink.Link, error) { return l.handle.LinkByName(name) })
	if err != nil {
		return nil, failure(err, "%s", name)
	}
	return link, nil
}

// readAddresses reads the addresses of all interfaces, as messages.
func (l *Links) readAddresses() ([][]byte, error) {
	defer l.changes.listen(unix.RTNLGRP_IPV4_IFADDR, unix.RTNLGRP_IPV6_IFADDR)()
	return settled(l.changes.drain, func() ([][]byte, error) {
		request := l.request(unix.RTM_GETADDR, unix.NLM_F_DUMP)
		request.AddData(nl.NewIfAddrmsg(unix.AF_UNSPEC))
		return request.Execute(unix.NETLINK_ROUTE, unix.RTM_NEWADDR)
	})
}

// readRoutes reads the routes of a family as far as filter and mask select them, and
// returns what pick makes of them. Without the family there are none.
func readRoutes[T any](l *Links, family int, filter *netlink.Route, mask uint64, pick func([]netlink.Route) T) (T, error) {
	group := unix.RTNLGRP_IPV4_ROUTE
	if family == unix.AF_INET6 {
		group = unix.RTNLGRP_IPV6_ROUTE
	}
	defer l.changes.listen(group)()
	return settled(l.changes.drain, func() (T, error) {
		routes, err := l.handle.RouteListFiltered(family, filter, mask)
		if noFamily(err) {
			routes, err = nil, nil
		}
		return pick(routes), err
	})
}

// readRules reads the rules of a family. Without the family there are none.
func (l *Links) readRules(ipv6 bool) ([]netlink.Rule, error) {
	group := unix.RTNLGRP_IPV4_RULE
	if ipv6 {
		group = unix.RTNLGRP_IPV6_RULE
	}
	defer l.changes.listen(group)()
	rules, err := settled(l.changes.drain, func() ([]netlink.Rule, error) {
		rules, err := l.handle.RuleList(family(ipv6))
		if noFamily(err) {
			return nil, nil
		}
		return rules, err
	})
	return rules, failure(err, "list the rules")
}

// noFamily reports whether the kernel lacks IPv6.
func noFamily(err error) bool {
	return errors.Is(err, unix.EAFNOSUPPORT) || errors.Is(err, unix.EOPNOTSUPP)
}

// readInterfaces reads all interfaces, as messages, for a RouteWatcher.
func readInterfaces(socket *nl.SocketHandle) ([][]byte, error) {
	return again(func() ([][]byte, error) {
		request := nl.NewNetlinkRequest(unix.RTM_GETLINK, unix.NLM_F_DUMP)
		request.Sockets = map[int]*nl.SocketHandle{unix.NETLINK_ROUTE: socket}
		request.AddData(nl.NewIfInfomsg(unix.AF_UNSPEC))
		return request.Execute(unix.NETLINK_ROUTE, unix.RTM_NEWLINK)
	})
}

// dump lists the routes of an Announcer, and passes on the entries of the answer one after the
// other: a list of 100,000 is not held in memory. It is read once: what it misses is added
// again, which is no error, or removed later.
func (a *Announcer) dump(index uint32, family byte, f func(message []byte)) error {
	if a.fd < 0 {
		return os.ErrClosed
	}
	a.request = a.appendRoute(a.request[:0], unix.RTM_GETROUTE, unix.NLM_F_DUMP, index, family, netip.Prefix{})
	if _, err := unix.Write(a.fd, a.request); err != nil {
		return err
	}
	for {
		n, err := unix.Read(a.fd, a.answer)
		if err != nil {
			return err
		}
		for m := range messages(a.answer[:n]) {
			switch {
			case m.seq != a.seq:
			case m.kind == unix.NLMSG_DONE:
				return nil
			case m.kind == unix.NLMSG_ERROR && len(m.body) >= 4:
				code := m.code()
				if code == unix.ENOENT || noFamily(code) { // there is no such table, or no IPv6
					return nil
				}
				return code
			case m.kind == unix.RTM_NEWROUTE:
				f(m.body)
			}
		}
	}
}
