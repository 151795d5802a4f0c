package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"wgd/test/lab"
)

// Two other tunnels in user space and in Go, whose rows are measured on request. Each has
// a module of its own below this folder, which pins its version.
const (
	forkName   = "wireguard-ts" // of at most 15 characters, as are all names of processes
	nebulaName = "nebula"
)

// another is one of these tunnels.
type another struct {
	side     side
	folder   string // of its module
	programs map[string]string
	what     string // for the table, before the version
}

var others = []another{
	{fork, "tailscale", map[string]string{forkName: "github.com/tailscale/wireguard-go"}, "Tailscale's fork is github.com/tailscale/wireguard-go"},
	{nebula, "nebula", map[string]string{nebulaName: "github.com/slackhq/nebula/cmd/nebula", nebulaName + "-cert": "github.com/slackhq/nebula/cmd/nebula-cert"},
		"nebula, with its usual cipher AES-256-GCM, is github.com/slackhq/nebula"},
}

// needs reports whether a selected row compares a side.
func (o options) needs(s side) bool {
	return slices.ContainsFunc(o.workloads(), func(w *workload) bool { return slices.Contains(o.sides(w), s) })
}

// buildOthers builds those that the selected rows need. dir is the folder of this program.
func (o options) buildOthers(dir string) error {
	for _, a := range others {
		if !o.needs(a.side) {
			continue
		}
		for name, pkg := range a.programs {
			if err := lab.BuildFrom(filepath.Join(dir, a.folder), pkg, name); err != nil {
				return err
			}
		}
	}
	return nil
}

// describeOthers says which versions were built.
func (o options) describeOthers() (notes []string) {
	b, err := lab.Build()
	if err != nil {
		return nil
	}
	for _, a := range others {
		if o.needs(a.side) {
			notes = append(notes, fmt.Sprintf("%s %s.", a.what, moduleVersion(filepath.Join(b.Dir, o.program(a.side)))))
		}
	}
	return notes
}

// nebulaConfig is the configuration file of a host. The firewall accepts everything, the
// buffers of the socket are as large as those of the others, and the MTU is theirs: an
// outer packet then has 1,480 bytes.
const nebulaConfig = `pki:
  ca: /run/nebula/ca.crt
  cert: /run/nebula/host.crt
  key: /run/nebula/host.key
static_host_map:
  "` + inner4A + `": ["192.0.2.1:1234"]
  "` + inner4B + `": ["192.0.2.2:1234"]
lighthouse:
  am_lighthouse: false
listen:
  host: 0.0.0.0
  port: 1234
  read_buffer: 16777216
  write_buffer: 16777216
tun:
  dev: wg0
  mtu: 1420
logging:
  level: info
firewall:
  outbound:
    - {port: any, proto: any, host: any}
  inbound:
    - {port: any, proto: any, host: any}
`

// newNebulaPair returns two hosts with a tunnel of nebula between them, which has IPv4
// inside and outside only. The certificates are made on host a, for this run.
func newNebulaPair(t lab.T, nice int) *pair {
	p := &pair{daemon: nebulaName}
	p.a, p.b = lab.Pair(t)
	for _, h := range []*lab.Host{p.a, p.b} {
		h.Must("mkdir -p -m 700 /run/nebula")
		h.Write("/run/nebula/config.yml", nebulaConfig)
	}
	p.a.Must("cd /run/nebula && nebula-cert ca -name bench && "+
		"nebula-cert sign -name a -networks %s/24 -out-crt host.crt -out-key host.key && "+
		"nebula-cert sign -name b -networks %s/24 -out-crt b.crt -out-key b.key", inner4A, inner4B)
	for from, to := range map[string]string{"ca.crt": "ca.crt", "b.crt": "host.crt", "b.key": "host.key"} {
		text, err := os.ReadFile(p.a.Path("/run/nebula/" + from))
		if err != nil {
			t.Fatalf("host a: %v", err)
		}
		p.b.Write("/run/nebula/"+to, string(text))
	}
	p.da, p.db = startNebula(t, p.a, nice), startNebula(t, p.b, nice)
	p.b.PingWithin(10*time.Second, inner4A)
	return p
}

// startNebula starts nebula in the background, which it does not do itself.
func startNebula(t lab.T, h *lab.Host, nice int) *lab.Daemon {
	h.Must("setsid " + nebulaName + " -config /run/nebula/config.yml </dev/null >>/run/wgd.log 2>&1 &")
	d := h.Daemon(nebulaName)
	weighSession(h, d.PID, nice)
	lab.Until(t, 30*time.Second, "nebula has the interface wg0", func() (bool, string) {
		return h.Run("ip link show dev wg0").Code == 0, h.Run("cat /run/wgd.log; ps ax").Out
	})
	return d
}
