package nft

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/google/nftables"
	"golang.org/x/sys/unix"
)

// All lists that the program reads of nftables are read by this file (internal/archtest).
// The kernel hands out a list in parts, and marks one that changed meanwhile, which may
// lack something; but the library ignores the mark. Therefore the number of the
// generation, which every change increments, is compared.

const (
	// readings is how often the rules are read at most, and pause the time between two
	// readings.
	readings = 100
	pause    = 5 * time.Millisecond
)

var errChanging = errors.New("they change faster than they can be read: try again")

// unchanged repeats read until there was no change meanwhile, and returns its result.
func unchanged(generation func() (uint32, error), read func() error) error {
	for range readings {
		before, err := generation()
		if err != nil {
			return err
		}
		result := read()
		after, err := generation()
		if err != nil || before == after {
			return errors.Join(err, result)
		}
		time.Sleep(pause)
	}
	return errChanging
}

// tableIn is a table as the kernel lists it.
type tableIn struct {
	chains map[string]*nftables.Chain
	rules  map[string][]*nftables.Rule // of each chain
}

// readTable reads a table. One that is not there has no chains.
func readTable(table *nftables.Table) (t tableIn, err error) {
	conn, err := nftables.New()
	if err != nil {
		return t, err
	}
	err = unchanged(generation, func() error {
		t = tableIn{chains: map[string]*nftables.Chain{}, rules: map[string][]*nftables.Rule{}}
		all, err := conn.ListChainsOfTableFamily(table.Family)
		if err != nil && !errors.Is(err, unix.ENOENT) {
			return err
		}
		for _, c := range all {
			if c.Table.Name != table.Name {
				continue
			}
			rules, err := conn.GetRules(table, c)
			if err != nil {
				return fmt.Errorf("chain %s: %w", c.Name, err)
			}
			t.chains[c.Name], t.rules[c.Name] = c, rules
		}
		return nil
	})
	return t, err
}

// generation asks the kernel for the number of the generation.
func generation() (uint32, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_NETFILTER)
	if err != nil {
		return 0, err
	}
	defer unix.Close(fd)
	const header = unix.SizeofNlMsghdr + 4 // with struct nfgenmsg
	b := make([]byte, header, 4096)
	binary.NativeEndian.PutUint32(b, header)
	binary.NativeEndian.PutUint16(b[4:], unix.NFNL_SUBSYS_NFTABLES<<8|unix.NFT_MSG_GETGEN)
	binary.NativeEndian.PutUint16(b[6:], unix.NLM_F_REQUEST)
	if err := unix.Sendto(fd, b, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return 0, err
	}
	n, err := unix.Read(fd, b[:cap(b)])
	if err != nil {
		return 0, err
	}
	b = b[:n]
	if len(b) < header {
		return 0, unix.EBADMSG
	}
	switch binary.NativeEndian.Uint16(b[4:]) {
	case unix.NLMSG_ERROR:
		return 0, unix.Errno(-int32(binary.NativeEndian.Uint32(b[unix.SizeofNlMsghdr:])))
	case unix.NFNL_SUBSYS_NFTABLES<<8 | unix.NFT_MSG_NEWGEN:
	default:
		return 0, unix.EBADMSG
	}
	for b = b[header:]; len(b) >= 8; {
		length := int(binary.NativeEndian.Uint16(b))
		if binary.NativeEndian.Uint16(b[2:])&0x3fff == unix.NFTA_GEN_ID {
			return binary.BigEndian.Uint32(b[4:]), nil
		}
		if length < unix.SizeofNlAttr {
			break
		}
		b = b[min((length+3)&^3, len(b)):]
	}
	return 0, unix.EBADMSG
}
