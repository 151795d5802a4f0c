package main

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"wgd/internal/cli"
	"wgd/internal/cli/clitest"
	"wgd/internal/sys/link"
	"wgd/internal/sys/process"
)

// parsed returns the settings of a command line, and the error, without applying them.
func parsed(line string) (settings []setting, complaint string) {
	c := command()
	c.Steps = func(_ *cli.Call, steps []*cli.Call) error {
		var err error
		settings, err = parse(steps)
		return err
	}
	var out bytes.Buffer
	cli.Run(c, strings.Fields(line), strings.NewReader(""), &out, &out)
	complaint, _, _ = strings.Cut(out.String(), "\n")
	return settings, complaint
}

func add(address string) setting { return of(doAdd, address) }

func of(do action, address string) setting {
	p := netip.MustParsePrefix(address)
	return setting{do: do, address: p.Addr(), bits: p.Bits()}
}

func TestTableIsComplete(t *testing.T) {
	if err := cli.Check(command()); err != nil {
		t.Error(err)
	}
}

func TestSettings(t *testing.T) {
	ten := netip.MustParseAddr("10.2.0.1")
	for _, c := range []struct {
		line string
		want []setting
	}{
		{"wg0 create", []setting{{do: doCreate}}},
		{"wg0 create inet 10.2.0.1/24 up", []setting{{do: doCreate}, add("10.2.0.1/24"), {do: doUp}}},
		{"wg0 inet 10.2.0.1/24 alias", []setting{add("10.2.0.1/24")}},
		{"wg0 inet alias 10.2.0.1/24", []setting{add("10.2.0.1/24")}},
		{"wg0 inet 10.2.0.1/24 -alias", []setting{of(doRemove, "10.2.0.1/24")}},
		{"wg0 inet 10.2.0.1/24 delete", []setting{of(doRemove, "10.2.0.1/24")}},
		{"wg0 inet delete 10.2.0.1", []setting{{do: doRemove, address: ten, bits: anyLength}}},
		{"wg0 inet 10.2.0.1 -alias", []setting{{do: doRemove, address: ten, bits: anyLength}}},
		{"wg0 inet 10.2.0.1 prefixlen 24", []setting{add("10.2.0.1/24")}},
		{"wg0 inet 10.2.0.1 netmask 255.255.255.0", []setting{add("10.2.0.1/24")}},
		{"wg0 inet 10.2.0.1 netmask 0xffff0000 alias", []setting{add("10.2.0.1/16")}},
		{"wg0 inet 10.2.0.1 netmask 255.255.255.255", []setting{add("10.2.0.1/32")}},
		{"wg0 inet6 fd00:2::1/64", []setting{add("fd00:2::1/64")}},
		{"wg0 inet6 fd00:2::1", []setting{add("fd00:2::1/64")}},
		{"wg0 inet6 fe80::1%wg0/64", []setting{add("fe80::1/64")}}, // as wg-ifconfig shows it
		{"wg0 inet6 fe80::1%wg0", []setting{add("fe80::1/64")}},
		{"wg0 mtu 68 mtu 65535", []setting{{do: doMTU, mtu: 68}, {do: doMTU, mtu: 65535}}},
		{"wg0 down destroy", []setting{{do: doDown}, {do: doDestroy}}},
	} {
		got, complaint := parsed(c.line)
		if !slices.Equal(got, c.want) || complaint != "" {
			t.Errorf("%s: got %+v %s, want %+v", c.line, got, complaint, c.want)
		}
	}
}

func TestInvalidSettings(t *testing.T) {
	for line, want := range map[string]string{
		"wg0 inet 10.2.0.1":                          "inet 10.2.0.1: the prefix length is missing: write 10.2.0.1/24, or 10.2.0.1/32 for this address alone",
		"wg0 inet 10.2.0.1/33":                       `inet 10.2.0.1/33: prefix length "33": give a number from 0 to 32`,
		"wg0 inet6 fd00::1/129":                      `inet6 fd00::1/129: prefix length "129": give a number from 0 to 128`,
		"wg0 inet 10.2.0.1/":                         `inet 10.2.0.1/: prefix length "": give a number from 0 to 32`,
		"wg0 inet 10.2.0.1/-1":                       `inet 10.2.0.1/-1: prefix length "-1": give a number from 0 to 32`,
		"wg0 inet 10.2.0/24":                         `inet 10.2.0/24: not an IP address: give one like 10.2.0.1/24 or fd00:2::1/64`,
		"wg0 inet fd00::1/64":                        "inet fd00::1/64: not an IPv4 address: give IPv6 addresses after inet6",
		"wg0 inet6 10.2.0.1/24":                      "inet6 10.2.0.1/24: not an IPv6 address: give IPv4 addresses after inet",
		"wg0 inet6 ::ffff:10.2.0.1/96":               "inet6 ::ffff:10.2.0.1/96: an interface cannot have this address: give the address of a host",
		"wg0 inet 224.0.0.1/4":                       "inet 224.0.0.1/4: an interface cannot have this address: give the address of a host",
		"wg0 inet6 fe80::1%eth0":                     "inet6 fe80::1%eth0: the address belongs to the interface eth0: leave out %eth0",
		"wg0 inet 10.2.0.1/24 netmask 255.255.255.0": "inet 10.2.0.1/24: both a prefix length and a netmask: give one of them",
		"wg0 inet 10.2.0.1/24 prefixlen 24":          "inet 10.2.0.1/24: two prefix lengths: give one of them",
		"wg0 inet 10.2.0.1 netmask 255.0.255.0":      `inet 10.2.0.1: netmask "255.0.255.0": its bits are not contiguous: give one like 255.255.255.0`,
		"wg0 inet 10.2.0.1 netmask 24":               `inet 10.2.0.1: netmask "24": not a mask: give one like 255.255.255.0, or a prefix length like 10.2.0.1/24`,
		"wg0 inet6 fd00::1 netmask 255.255.255.0":    "inet6 fd00::1: an IPv6 address has no netmask: give a prefix length like fd00::1/64",
		"wg0 mtu 67":                                 `mtu "67": give a number of bytes from 68 to 65535`,
		"wg0 mtu 65536":                              `mtu "65536": give a number of bytes from 68 to 65535`,
		"wg0 mtu big":                                `mtu "big": give a number of bytes from 68 to 65535`,
		"wg0 up create":                              "create must come first",
		"wg0 destroy up":                             "nothing can follow destroy",
	} {
		if settings, got := parsed(line); got != "wg-ifconfig: "+want || settings != nil {
			t.Errorf("%s: got\n%s, want\n%s", line, got, want)
		}
	}
}

func TestDisplay(t *testing.T) {
	have := func(texts ...string) (list []link.Address) {
		for _, text := range texts {
			own, peer, _ := strings.Cut(text, " peer ")
			a := link.Address{Prefix: netip.MustParsePrefix(own)}
			if peer != "" {
				a.Peer = netip.MustParseAddr(peer)
			}
			list = append(list, a)
		}
		return list
	}
	for _, c := range []struct {
		info  link.Info
		fault string
		want  string
	}{
		{link.Info{Name: "wg0", Up: true, Running: true, Multicast: true, MTU: 1420, Addresses: have("10.2.0.1/24", "fd00:2::1/64")}, "",
			"wg0: flags=0x8041<UP,RUNNING,MULTICAST> mtu 1420\n" +
				"\tstatus: active\n" +
				"\tinet6 fd00:2::1/64 flags 0\n" +
				"\tinet 10.2.0.1/24 flags 0\n"},
		{link.Info{Name: "wg1", Multicast: true, MTU: 1280}, "",
			"wg1: flags=0x8000<MULTICAST> mtu 1280\n\tstatus: inactive\n"},
		{link.Info{Name: "wg1", Up: true, Running: true, MTU: 1280}, "",
			"wg1: flags=0x41<UP,RUNNING> mtu 1280\n\tstatus: active\n"},
		{link.Info{Name: "wg1", MTU: 1280}, "",
			"wg1: flags=0 mtu 1280\n\tstatus: inactive\n"},
		{link.Info{Name: "wg0", Up: true, Running: true, Multicast: true, MTU: 1420, Addresses: have("fe80::1/64"), Index: 3}, "UDP port 1234 is taken",
			"wg0: flags=0x8001<UP,MULTICAST> mtu 1420\n" +
				"\tstatus: inactive\n" +
				"\tinet6 fe80::1%wg0/64 flags 0 scopeid 0x3\n" +
				"\tfault: UDP port 1234 is taken\n"},
		{link.Info{Name: "wg0", Up: true, Running: true, Multicast: true, MTU: 1420, Addresses: have("192.168.2.1/32 peer 192.168.2.2", "fd00::1/128 peer fd00::2")}, "",
			"wg0: flags=0x8041<UP,RUNNING,MULTICAST> mtu 1420\n" +
				"\tstatus: active\n" +
				"\tinet6 fd00::1/128 -> fd00::2 flags 0\n" +
				"\tinet 192.168.2.1/32 -> 192.168.2.2 flags 0\n"},
		{link.Info{Name: "wg1", MTU: 1280, Addresses: []link.Address{{Prefix: netip.MustParsePrefix("fd00::1/64"), Deprecated: true, Temporary: true}}}, "",
			"wg1: flags=0 mtu 1280\n\tstatus: inactive\n\tinet6 fd00::1/64 flags 0x90<DEPRECATED,TEMPORARY>\n"},
	} {
		if got := viewOf(c.info, c.fault).String(); got != c.want {
			t.Errorf("got\n%s\nwant\n%s", got, c.want)
		}
	}
}

// The command prints the error that the daemon reports, or that is the last line of its
// output. The trace of a crash is shown completely.
func TestErrorOfTheDaemon(t *testing.T) {
	silent := fmt.Errorf("%w (exit status 2)", process.ErrSilent)
	const noReason = "wg0: its daemon did not start: /bin/wgd: it ended at once and did not say why (exit status 2)"
	for _, c := range []struct {
		said string
		err  error
		want string // "" for no error
		rest string
	}{
		{"", nil, "", ""},
		{"level=WARN\n", nil, "", "level=WARN\n"},
		{"", errors.New("wg0 is already running: use it"), "wg0 is already running: use it", ""},
		{"level=WARN\n", errors.New("no luck: try tomorrow"), "wg0: no luck: try tomorrow", "level=WARN\n"},
		{"", errors.New(`interface "wg0": no`), `interface "wg0": no`, ""},
		{"wgd: wg0: a daemon runs already: stop it\n", silent, "wg0: a daemon runs already: stop it", ""},
		{"level=WARN\nwgd: /dev/net/tun: no permission: x", silent, "wg0: /dev/net/tun: no permission: x", "level=WARN\n"},
		{"", silent, noReason, ""},
		{"panic: x\n\tmain.go:7\n", silent, noReason, "panic: x\n\tmain.go:7\n"},
	} {
		sentence, rest := finalError(c.said, c.err)
		got := ""
		if err := failedToStart("wg0", "/bin/wgd", sentence, c.err); err != nil {
			got = err.Error()
		}
		if got != c.want || rest != c.rest {
			t.Errorf("%q, %v: got\n%q and %q, want\n%q and %q", c.said, c.err, got, rest, c.want, c.rest)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{"wg0 inet 10.2.0.1/24 -alias", "wg0 inet6 fe80::1%wg0/64 mtu 1 up", "wg0 inet 1.2.3.4 netmask 0xff"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, line string) {
		settings, _ := parsed(line)
		for _, s := range settings {
			if (s.do == doAdd || s.do == doRemove && s.bits != anyLength) && !netip.PrefixFrom(s.address, s.bits).IsValid() {
				t.Errorf("%q: the prefix of %+v is invalid", line, s)
			}
		}
	})
}

// A key that stands in the wrong place is not repeated.
func TestNoKeyRepeated(t *testing.T) {
	clitest.NoKeyRepeated(t, command(), func(args ...string) string {
		var printed bytes.Buffer
		cli.Run(command(), args, strings.NewReader(""), &printed, &printed)
		return printed.String()
	})
}
