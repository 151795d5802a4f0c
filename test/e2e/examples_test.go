package e2e

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"wgd/test/lab"
)

// examples are the folders of examples/, with the machines that have a file there and
// their addresses. A router with the name internet connects them. It masquerades
// 192.168.0.0/16 towards 203.0.113.0/24.
var examples = map[string]map[string]string{
	"road-warrior":   {"server": "203.0.113.7", "laptop": "198.51.100.9"},
	"site-to-site":   {"left": "203.0.113.7", "right": "198.51.100.9"},
	"hub-and-spokes": {"hub": "203.0.113.7", "spoke1": "192.168.31.2", "spoke2": "192.168.32.2"},
	"default-route":  {"server": "203.0.113.7", "client": "192.168.1.2"},
	"container":      {"server": "203.0.113.7", "host": "198.51.100.9"},
}

// Each example works: the commands of its page, run on its machines with its files and
// new keys, succeed. A file without keys is refused. After wgd down, nothing is left.
func TestExamples(t *testing.T) {
	t.Parallel()
	folders, err := filepath.Glob("../../examples/*/README.md")
	if err != nil || len(folders) != len(examples) {
		t.Fatalf("the examples are %v, %v, want those of the list", folders, err)
	}
	for name, machines := range examples {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			folder := filepath.Join("../../examples", name)
			hosts := exampleNet(t, machines)
			around, afterwards := exampleHosts(t, hosts)
			if f := around[name]; f != nil {
				f()
			}
			fillIn(t, folder, machines, hosts)
			commands := typed(t, filepath.Join(folder, "README.md"))
			if len(commands) < len(machines)+1 {
				t.Fatalf("the page has %d commands", len(commands))
			}
			for _, c := range commands {
				h := hosts[c[0]]
				if h == nil {
					t.Fatalf("there is no machine %s in the example", c[0])
				}
				if r := h.Run(c[1]); r.Code != 0 || r.Err != "" {
					t.Fatalf("%s# %s: exit status %d\n%s%s", c[0], c[1], r.Code, r.Out, r.Err)
				}
			}
			if f := afterwards[name]; f != nil {
				f()
			}
			for machine := range machines {
				if name != "container" || machine != "host" { // which its page takes down
					hosts[machine].Must("wgd down wg0")
				}
				nothingLeft(t, hosts[machine])
			}
		})
	}
}

// exampleNet connects the machines with a router.
func exampleNet(t *testing.T, machines map[string]string) map[string]*lab.Host {
	t.Helper()
	internet := lab.NewHost(t, "internet").Router()
	internet.Must("nft 'add table ip nat; add chain ip nat out { type nat hook postrouting priority 100; }'; " +
		"nft add rule ip nat out ip saddr 192.168.0.0/16 ip daddr 203.0.113.0/24 masquerade")
	hosts := map[string]*lab.Host{"internet": internet}
	for name, address := range machines {
		hosts[name] = lab.NewHost(t, name)
		gateway := address[:strings.LastIndex(address, ".")] + ".1"
		lab.Link(hosts[name], "eth0", []string{address + "/24"}, internet, "to-"+name, []string{gateway + "/24"})
		hosts[name].Must("ip route add default via %s", gateway)
	}
	return hosts
}

// exampleHosts returns, for each example, what adds the other machines to it, and what
// checks more than the commands of its page do.
func exampleHosts(t *testing.T, hosts map[string]*lab.Host) (around, afterwards map[string]func()) {
	around = map[string]func(){
		"road-warrior": func() { behind(t, hosts, "server", "office", "192.168.10") },
		"site-to-site": func() {
			behind(t, hosts, "left", "desk", "192.168.10")
			behind(t, hosts, "right", "printer", "192.168.20")
		},
		// It has no route to the client, and can answer the server only.
		"default-route": func() {
			hosts["page"] = lab.NewHost(t, "page")
			lab.Link(hosts["page"], "eth0", []string{"198.51.100.80/24"}, hosts["internet"], "to-page", []string{"198.51.100.1/24"})
			hosts["page"].Must("ip route add 203.0.113.0/24 via 198.51.100.1")
			hosts["client"].NoPing("198.51.100.80")
		},
	}
	afterwards = map[string]func(){
		"road-warrior": func() { hosts["office"].Ping("10.66.0.2", 1) },
		"site-to-site": func() {
			hosts["desk"].Ping("192.168.20.20", 1)
			hosts["printer"].Ping("192.168.10.20", 1)
		},
		"hub-and-spokes": func() {
			for _, h := range hosts {
				h.AwaitAddresses("wg0")
			}
			hosts["hub"].Ping("fd66::12", 1)
		},
		"default-route": func() { hosts["client"].Ping("192.168.1.1", 1) },
		"container":     func() { hosts["host"].Must("! ip netns exec box ip link show eth0") },
	}
	return around, afterwards
}

// behind adds a machine to the local network of a gateway.
func behind(t *testing.T, hosts map[string]*lab.Host, gateway, name, network string) {
	hosts[name] = lab.NewHost(t, name)
	lab.Link(hosts[gateway], "eth1", []string{network + ".1/24"}, hosts[name], "eth0", []string{network + ".20/24"})
	hosts[name].Must("ip route add default via %s.1", network)
}

var placeholder = regexp.MustCompile(`= (P[A-Z]+-KEY[-A-Z0-9]*)\n`)

// fillIn installs the files of an example, with keys. Without, each of them is refused.
func fillIn(t *testing.T, folder string, machines map[string]string, hosts map[string]*lab.Host) {
	t.Helper()
	if files, _ := filepath.Glob(filepath.Join(folder, "*.conf")); len(files) != len(machines) {
		t.Fatalf("the files are %v, want one for each of the %d machines", files, len(machines))
	}
	publics, privates := map[string]string{}, map[string]string{}
	for name := range machines {
		h := hosts[name]
		h.Must("(umask 077; wg-keygen > /etc/wg/wg0)")
		privates[name] = strings.TrimSpace(h.Must("cat /etc/wg/wg0"))
		publics["PUBLIC-KEY-OF-"+strings.ToUpper(name)] = strings.TrimSpace(h.Must("wg-keygen --pub < /etc/wg/wg0"))
	}
	for name := range machines {
		h := hosts[name]
		text, err := os.ReadFile(filepath.Join(folder, name+".conf"))
		if err != nil {
			t.Fatal(err)
		}
		h.Write("/etc/wireguard/wg0.conf", string(text))
		h.Must("chmod 600 /etc/wireguard/wg0.conf")
		places := placeholder.FindAllStringSubmatch(string(text), -1)
		if refused := h.Fails(1, "wgd check wg0", "wg0.conf:"); len(places) == 0 || strings.Count(refused, "\n") != len(places) {
			t.Errorf("%s.conf has the placeholders %q, and wgd check says\n%s", name, places, refused)
		}
		h.Fails(1, "wgd up wg0", "wg0.conf:")
		h.Write("/etc/wireguard/wg0.conf", placeholder.ReplaceAllStringFunc(string(text), func(place string) string {
			key := publics[strings.TrimSpace(place[2:])]
			if place == "= PRIVATE-KEY\n" {
				key = privates[name]
			}
			return "= " + key + "\n"
		}))
		if r := h.Run("wgd check wg0"); r.Code != 0 || r.Err != "" {
			t.Errorf("%s.conf: exit status %d\n%s%s", name, r.Code, r.Out, r.Err)
		}
	}
}

// typed returns the commands of a page, each with the name of its machine.
func typed(t *testing.T, page string) (commands [][2]string) {
	t.Helper()
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`(?m)^    ([a-z0-9]+)# (.+)$`).FindAllStringSubmatch(string(text), -1) {
		commands = append(commands, [2]string{m[1], m[2]})
	}
	return commands
}
