package netsetup

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"time"

	"wgd/internal/wgconf"
)

// DNS is what resolvconf(8) is told about an interface.
type DNS struct {
	// Entry is the name of the interface for resolvconf, which may begin with a prefix.
	Entry   string       `json:"entry"`
	Servers []netip.Addr `json:"servers"`
	Search  []string     `json:"search,omitempty"`
}

// What keeps name servers from being set.
var (
	ErrNoResolvconf = errors.New("there is no resolvconf(8), and without one wgd cannot set name servers yet")
	ErrSplit        = errors.New("domains with ~ are not implemented yet, and without them all names would go to these name servers")
	ErrNoServer     = errors.New("there are domains to search, but no name server")
)

// PlanDNS is the step that sets the name servers of a file, if it has any. Like
// wg-quick, it needs resolvconf, of which there are several: openresolv's, Debian's, and
// systemd's, which asks systemd-resolved. An error is a reason why they are not set.
func PlanDNS(name string, dns *wgconf.DNS) ([]Step, error) {
	switch {
	case len(dns.Route) > 0:
		return nil, ErrSplit
	case len(dns.Servers) == 0 && len(dns.Search) > 0:
		return nil, ErrNoServer
	case len(dns.Servers) == 0:
		return nil, nil
	}
	program, err := exec.LookPath(resolvconf)
	if err != nil {
		return nil, ErrNoResolvconf
	}
	step := &DNS{Entry: entryPrefix(program, interfaceOrder) + name, Servers: dns.Servers}
	for _, domain := range dns.Search {
		step.Search = append(step.Search, string(domain))
	}
	return []Step{{DNS: step}}, nil
}

const (
	resolvconf     = "resolvconf"
	interfaceOrder = "/etc/resolvconf/interface-order"
	resolvConf     = "/etc/resolv.conf"
)

// entryPrefix is what begins the name of an interface for Debian's resolvconf, so that
// its name servers come before others: the first kind of interface with a pattern in the
// file, "tun." for example. A resolvconf that is a symbolic link is systemd's, which
// needs the name itself.
func entryPrefix(program, file string) string {
	if info, err := os.Lstat(program); err != nil || info.Mode()&os.ModeSymlink != 0 {
		return ""
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(text)) {
		kind, pattern := strings.CutSuffix(strings.TrimSpace(line), "*")
		if pattern && kind != "" && strings.Trim(kind, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-") == "" {
			return kind + "."
		}
	}
	return ""
}

// text is what resolvconf reads.
func (d *DNS) text() string {
	var b strings.Builder
	for _, server := range d.Servers {
		fmt.Fprintf(&b, "nameserver %s\n", server)
	}
	if len(d.Search) > 0 {
		fmt.Fprintf(&b, "search %s\n", strings.Join(d.Search, " "))
	}
	return b.String()
}

// SetDNS gives the name servers to resolvconf, as those that are asked before and
// instead of others. It returns an error if they are not in use afterwards.
func (k *Kernel) SetDNS(d *DNS) error {
	if err := runResolvconf(d.text(), "-a", d.Entry, "-m", "0", "-x"); err != nil {
		return err
	}
	text, err := os.ReadFile(resolvConf)
	if err == nil && !asks(string(text), d.Servers) {
		return fmt.Errorf("resolvconf took the name servers, but %s does not have them: another program is in charge of it", resolvConf)
	}
	return nil
}

// asks reports whether a resolv.conf has one of the servers, or leads to a resolver on
// this host, which has got them from resolvconf.
func asks(text string, servers []netip.Addr) bool {
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if len(fields) < 2 || fields[0] != "nameserver" {
			continue
		}
		address, err := netip.ParseAddr(fields[1])
		if err != nil {
			continue
		}
		if address.IsLoopback() {
			return true
		}
		for _, server := range servers {
			if address == server {
				return true
			}
		}
	}
	return false
}

// UnsetDNS makes resolvconf forget the name servers.
func (k *Kernel) UnsetDNS(d *DNS) error { return runResolvconf("", "-d", d.Entry, "-f") }

// resolvconfTime is how long resolvconf may take: it may restart other programs.
const resolvconfTime = 30 * time.Second

func runResolvconf(input string, arguments ...string) error {
	ctx, cancel := context.WithTimeout(context.Background(), resolvconfTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, resolvconf, arguments...)
	cmd.Stdin = strings.NewReader(input)
	// Not a pipe of the command's own: programs that resolvconf starts may keep it open.
	cmd.WaitDelay = time.Second
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	err := cmd.Run()
	if err == nil || errors.Is(err, exec.ErrWaitDelay) {
		return nil
	}
	what := strings.TrimSpace(output.String())
	if what != "" {
		what = ": " + what
	}
	return fmt.Errorf("resolvconf %s: %w%s", strings.Join(arguments, " "), err, what)
}
