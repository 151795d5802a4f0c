package main

import (
	"errors"
	"fmt"
	"math/bits"
	"net/netip"
	"strconv"
	"strings"

	"wgd/internal/cli"
	"wgd/internal/quote"
)

// A setting is one change to an interface.
type setting struct {
	do      action
	address netip.Addr
	bits    int // prefix length of the address; anyLength to remove it whatever its length
	mtu     int
}

type action int

const (
	doCreate action = iota
	doDestroy
	doAdd
	doRemove
	doMTU
	doUp
	doDown
)

const anyLength = -1

// The kernel's limits for the MTU of a TUN interface, and the initial one.
const (
	minMTU     = 68
	maxMTU     = 65535
	defaultMTU = 1420 // the daemon sets it on a new interface
)

// parse converts the steps of a command to settings.
func parse(steps []*cli.Call) ([]setting, error) {
	var settings []setting
	for i, step := range steps {
		s, err := parseOne(step)
		if err != nil {
			return nil, err
		}
		if s.do == doCreate && i > 0 {
			return nil, cli.UsageOf([]*cli.Form{step.Form}, "create must come first")
		}
		if s.do == doDestroy && i < len(steps)-1 {
			return nil, cli.UsageOf([]*cli.Form{step.Form}, "nothing can follow destroy")
		}
		settings = append(settings, s)
	}
	return settings, nil
}

func parseOne(step *cli.Call) (setting, error) {
	switch step.Form.Syntax {
	case syntaxCreate:
		return setting{do: doCreate}, nil
	case syntaxDestroy:
		return setting{do: doDestroy}, nil
	case syntaxMTU:
		return parseMTU(step.Arg("BYTES"))
	case syntaxUpDown:
		if step.Arg("up|down") == "up" {
			return setting{do: doUp}, nil
		}
		return setting{do: doDown}, nil
	}
	return parseAddress(step)
}

func parseMTU(text string) (setting, error) {
	mtu, err := strconv.Atoi(text)
	if err != nil || mtu < minMTU || mtu > maxMTU {
		return setting{}, fmt.Errorf("mtu %q: give a number of bytes from %d to %d", quote.Text(text), minMTU, maxMTU)
	}
	return setting{do: doMTU, mtu: mtu}, nil
}

func parseAddress(step *cli.Call) (setting, error) {
	family := step.Arg("inet|inet6")
	typed := step.Arg("ADDRESS[/LENGTH]")
	s := setting{do: doAdd, bits: anyLength}
	if verb := step.Arg("alias|-alias|delete"); verb == "-alias" || verb == "delete" {
		s.do = doRemove
	}
	text, length, hasLength := strings.Cut(typed, "/")
	var err error
	if s.address, err = addressOf(family, text, step.Arg("INTERFACE")); err != nil {
		return setting{}, fmt.Errorf("%s %s: %w", family, quote.Text(typed), err)
	}
	mask := step.Arg("MASK")
	if prefixlen := step.Arg("LENGTH"); prefixlen != "" {
		if hasLength || mask != "" {
			return setting{}, fmt.Errorf("%s %s: two prefix lengths: give one of them", family, quote.Text(typed))
		}
		length, hasLength = prefixlen, true
	}
	switch {
	case hasLength && mask != "":
		err = fmt.Errorf("both a prefix length and a netmask: give one of them")
	case hasLength:
		s.bits, err = lengthOf(length, s.address.BitLen())
	case mask != "":
		s.bits, err = lengthOfMask(mask, s.address)
	case s.do == doAdd:
		s.bits, err = defaultLength(s.address)
	}
	if err != nil {
		return setting{}, fmt.Errorf("%s %s: %w", family, quote.Text(typed), err)
	}
	return s, nil
}

// addressOf parses an address of the family that an interface can have.
func addressOf(family, text, interfaceName string) (netip.Addr, error) {
	address, err := netip.ParseAddr(text)
	if err != nil {
		return netip.Addr{}, errors.New("not an IP address: give one like 10.2.0.1/24 or fd00:2::1/64")
	}
	if zone := address.Zone(); zone != "" {
		if zone != interfaceName {
			return netip.Addr{}, fmt.Errorf("the address belongs to the interface %s: leave out %%%s", quote.Name(zone), quote.Name(zone))
		}
		address = address.WithZone("")
	}
	switch {
	case family == "inet" && !address.Is4():
		return netip.Addr{}, fmt.Errorf("not an IPv4 address: give IPv6 addresses after inet6")
	case family == "inet6" && !address.Is6():
		return netip.Addr{}, fmt.Errorf("not an IPv6 address: give IPv4 addresses after inet")
	case address.IsUnspecified(), address.IsMulticast(), address.Is4In6():
		return netip.Addr{}, fmt.Errorf("an interface cannot have this address: give the address of a host")
	}
	return address, nil
}

func lengthOf(text string, maxLength int) (int, error) {
	n, err := strconv.ParseUint(text, 10, 8)
	if err != nil || int(n) > maxLength {
		return 0, fmt.Errorf("prefix length %q: give a number from 0 to %d", quote.Text(text), maxLength)
	}
	return int(n), nil
}

// lengthOfMask parses a mask, in dotted or hexadecimal notation.
func lengthOfMask(text string, address netip.Addr) (int, error) {
	var mask uint32
	if dotted, err := netip.ParseAddr(text); err == nil && dotted.Is4() {
		b := dotted.As4()
		mask = uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
	} else if n, err := strconv.ParseUint(text, 0, 32); err == nil && strings.HasPrefix(text, "0x") {
		mask = uint32(n)
	} else {
		return 0, fmt.Errorf("netmask %q: not a mask: give one like 255.255.255.0, or a prefix length like %s/24", quote.Text(text), address)
	}
	length := bits.LeadingZeros32(^mask)
	switch {
	case !address.Is4():
		return 0, fmt.Errorf("an IPv6 address has no netmask: give a prefix length like %s/64", address)
	case mask<<length != 0:
		return 0, fmt.Errorf("netmask %q: its bits are not contiguous: give one like 255.255.255.0", text)
	}
	return length, nil
}

// defaultLength returns NetBSD's default for IPv6, and an error for IPv4, for which
// NetBSD's default is the class of the address: 10.2.0.1 would get a /8, which hardly
// anybody wants today.
func defaultLength(address netip.Addr) (int, error) {
	if address.Is4() {
		return 0, fmt.Errorf("the prefix length is missing: write %s/24, or %s/32 for this address alone", address, address)
	}
	return 64, nil
}
