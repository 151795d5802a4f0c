package netsetup

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"wgd/internal/wgconf"
)

// decode reads a file: network are lines of [Interface], and each of peers the lines of a
// [Peer].
func decode(t *testing.T, network string, peers ...string) *wgconf.File {
	t.Helper()
	text := "[Interface]\n" + network + "\n"
	for i, p := range peers {
		text += "[Peer]\nPublicKey = " + strings.Repeat(string(rune('A'+i)), 42) + "A=\n" + p + "\n"
	}
	file, problems := wgconf.Parse([]byte(text)).Decode(wgconf.Env{})
	if file == nil {
		t.Fatal(problems.Err("wg0.conf"))
	}
	return file
}

// facts are those of a system without other tunnels, once the file is configured.
func facts(file *wgconf.File) Facts {
	f := Facts{Priority4: 32765, Priority6: 32765, Tables: map[uint32]bool{254: true, 255: true}}
	for i := range file.Peers {
		f.AllowedIPs = append(f.AllowedIPs, file.Peers[i].Allowed()...)
	}
	if file.Interface.FwMark != nil {
		f.Mark = *file.Interface.FwMark
	}
	return f
}

func plan(t *testing.T, file *wgconf.File, f Facts) (lines []string) {
	t.Helper()
	for _, step := range Plan("wg0", file, nil, f) {
		lines = append(lines, step.String())
	}
	return lines
}

const (
	up         = "bring the interface up"
	validOn    = "set net.ipv4.conf.all.src_valid_mark to 1"
	guard4     = "add the firewall table ip wgd-wg0"
	guard6     = "add the firewall table ip6 wgd-wg0"
	byMark     = "add the rule 32765: not from all fwmark 0xca6c lookup 51820"
	byMain     = "add the rule 32764: from all lookup 254 suppress_prefixlength 0"
	byMark6    = "add the IPv6 rule 32765: not from all fwmark 0xca6c lookup 51820"
	byMain6    = "add the IPv6 rule 32764: from all lookup 254 suppress_prefixlength 0"
	setMark    = "set the firewall mark 0xca6c"
	mtu1420    = "set the MTU 1420"
	address    = "add the address 10.2.0.2/24"
	default4   = "add the route 0.0.0.0/0 to table 51820"
	default6   = "add the route ::/0 to table 51820"
	allPeer    = "AllowedIPs = 0.0.0.0/0"
	interface4 = "Address = 10.2.0.2/24"
)

// The steps of a plan, for each thing that a file can say.
func TestPlan(t *testing.T) {
	for _, c := range []struct {
		name, network string
		peers         []string
		facts         func(*Facts)
		want          []string
	}{
		{"nothing", "", nil, nil, []string{mtu1420, up}},
		{"the longest prefix first, and none that an address covers", interface4,
			[]string{"AllowedIPs = 10.2.0.7/32, 10.8.0.0/16, 10.2.0.0/16", "AllowedIPs = 10.8.1.0/24"}, nil,
			[]string{address, mtu1420, up, "add the route 10.8.1.0/24 to table 254", "add the route 10.8.0.0/16 to table 254", "add the route 10.2.0.0/16 to table 254"}},
		{"a single address of IPv4 has no route, one of IPv6 has", "Address = 10.2.0.2, fd00::2",
			[]string{"AllowedIPs = 10.2.0.2/32, fd00::2/128"}, nil,
			[]string{"add the address 10.2.0.2/32", "add the address fd00::2/128", mtu1420, up, "add the route 10.2.0.2/32 to table 254"}},
		{"none that a hook has set", "", []string{"AllowedIPs = 10.8.0.0/16"},
			func(f *Facts) { f.Routes = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")} }, []string{mtu1420, up}},
		{"a default route", interface4, []string{allPeer}, nil,
			[]string{address, mtu1420, up, setMark, validOn, guard4, byMark, byMain, default4}},
		{"both families", interface4, []string{allPeer + ", ::/0"}, nil,
			[]string{address, mtu1420, up, setMark, validOn, guard4, byMark, byMain, default4, guard6, byMark6, byMain6, default6}},
		{"other tunnels", interface4, []string{allPeer},
			func(f *Facts) { f.Tables[51820], f.Tables[51821], f.Priority4 = true, true, 900 },
			[]string{address, mtu1420, up, "set the firewall mark 0xca6e", validOn, guard4, "add the rule 900: not from all fwmark 0xca6e lookup 51822",
				"add the rule 899: from all lookup 254 suppress_prefixlength 0", "add the route 0.0.0.0/0 to table 51822"}},
		{"a mark of the file is the table", interface4 + "\nFwMark = 7", []string{"AllowedIPs = ::/0"}, nil,
			[]string{address, mtu1420, up, guard6, "add the IPv6 rule 32765: not from all fwmark 0x7 lookup 7", byMain6, "add the route ::/0 to table 7"}},
		{"but not one that is the number of the table main", interface4 + "\nFwMark = 254", []string{"AllowedIPs = ::/0"}, nil,
			[]string{address, mtu1420, up, guard6, "add the IPv6 rule 32765: not from all fwmark 0xfe lookup 51820", byMain6, default6}},
		{"parts of a default route are led by the rule, too", "", []string{"AllowedIPs = 0.0.0.0/0\nExcludedIPs = 128.0.0.0/2", "AllowedIPs = 192.168.0.0/16"}, nil,
			[]string{mtu1420, up, "add the route 192.168.0.0/16 to table 254", setMark, validOn, guard4, byMark, byMain,
				"add the route 192.0.0.0/2 to table 51820", "add the route 0.0.0.0/1 to table 51820"}},
		{"no routes", interface4 + "\nTable = off", []string{allPeer}, nil, []string{address, mtu1420, up}},
		{"a table", interface4 + "\nTable = 7", []string{allPeer + ", 10.2.0.0/24"}, nil,
			[]string{address, mtu1420, up, "add the route 10.2.0.0/24 to table 7", "add the route 0.0.0.0/0 to table 7"}},
		{"the table main has the route of an address", interface4 + "\nTable = main", []string{"AllowedIPs = 10.2.0.0/24, 10.2.0.0/25"}, nil,
			[]string{address, mtu1420, up, "add the route 10.2.0.0/25 to table 254"}},
		{"no IPv6 with a small MTU", interface4 + ", fd00::2/64\nMTU = 1200", []string{"AllowedIPs = ::/0, 10.9.0.0/16"}, nil,
			[]string{address, "set the MTU 1200", up, "add the route 10.9.0.0/16 to table 254"}},
	} {
		file := decode(t, c.network, c.peers...)
		f := facts(file)
		if c.facts != nil {
			c.facts(&f)
		}
		if got := plan(t, file, f); !slices.Equal(got, c.want) {
			t.Errorf("%s: got\n\t%s\nwant\n\t%s", c.name, strings.Join(got, "\n\t"), strings.Join(c.want, "\n\t"))
		}
	}
}

// The MTU is that of the way to the endpoints without 80 bytes, and fit for IPv6 if the
// tunnel carries IPv6.
func TestPlanMTU(t *testing.T) {
	for _, c := range []struct {
		name, network, peer string
		path                int
		want                string
	}{
		{"unknown", interface4, allPeer, 0, mtu1420},
		{"small", interface4, allPeer, 1300, "set the MTU 1220"},
		{"large", interface4, allPeer, 9000, "set the MTU 8920"},
		{"address of IPv6", interface4 + ", fd00::2/64", allPeer, 1300, "set the MTU 1280"},
		{"route of IPv6", interface4, "AllowedIPs = fd00::/64", 1300, "set the MTU 1280"},
		{"of the file", "MTU = 1200", allPeer, 1300, "set the MTU 1200"},
	} {
		file := decode(t, c.network, c.peer)
		f := facts(file)
		f.PathMTU = c.path
		if got := plan(t, file, f); !slices.Contains(got, c.want) {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}

// The firewall protects the addresses of its family, and keeps the mark that the rule
// asks for.
func TestPlanGuard(t *testing.T) {
	file := decode(t, "FwMark = 254\nAddress = 10.2.0.2/24, fd00::2/64, 10.3.0.2/32", allPeer+", ::/0")
	var got []string
	for _, step := range Plan("wg0", file, nil, facts(file)) {
		if step.Guard != nil {
			for _, a := range step.Guard.Addresses {
				got = append(got, a.String())
			}
			if step.Guard.Mark != 254 {
				t.Errorf("%v: the mark is %d, want 254", step.Guard, step.Guard.Mark)
			}
		}
	}
	if want := []string{"10.2.0.2", "10.3.0.2", "fd00::2"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// A rule has the priority that the kernel would choose, if there is room for two.
func TestNextPriority(t *testing.T) {
	for _, c := range []struct {
		list []uint32
		want uint32 // 0: an error
	}{
		{[]uint32{0, 32766, 32767}, 32765}, {[]uint32{0, 100, 32766}, 99}, {nil, 32765}, {[]uint32{0}, 32765},
		{[]uint32{0, 3}, 2}, {[]uint32{0, 2}, 0}, {[]uint32{32766, 32767}, 0},
	} {
		got, err := nextPriority(c.list)
		if got != c.want || (err == nil) != (c.want != 0) {
			t.Errorf("%v: got %d, %v, want %d", c.list, got, err, c.want)
		}
	}
}
