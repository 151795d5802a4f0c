package dns

import (
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The limits of the C library, and its defaults where a line is missing.
const (
	maxServers  = 3
	maxSearch   = 6 // as resolv.conf(5) says; newer versions have no limit
	maxNdots    = 15
	maxTimeout  = 30 * time.Second
	maxAttempts = 5

	defaultNdots    = 1
	defaultTimeout  = 5 * time.Second
	defaultAttempts = 2
)

// A resolvConf is what /etc/resolv.conf says.
type resolvConf struct {
	servers  []netip.Addr // at least one; possibly with a scope
	search   []string     // without the last dot
	ndots    int
	timeout  time.Duration // for each question to each server
	attempts int           // how often each server is asked
	rotate   bool          // the first server is another one each time
	single   bool          // one question after the other
	tcp      bool
	edns0    bool
}

func parseResolvConf(text string) resolvConf {
	c := resolvConf{ndots: defaultNdots, timeout: defaultTimeout, attempts: defaultAttempts, search: []string{}}
	searched := false
	for line := range strings.Lines(text) {
		// Only what stands in the first column begins a comment.
		if strings.HasPrefix(line, "#") || strings.HasPrefix(line, ";") {
			continue
		}
		fields := strings.Fields(line)
		if len(fields) < 2 {
			continue
		}
		switch fields[0] {
		case "nameserver":
			if addr, err := netip.ParseAddr(fields[1]); err == nil && len(c.servers) < maxServers {
				c.servers = append(c.servers, addr.Unmap())
			}
		case "domain": // this and search replace each other: the last one counts
			c.search, searched = searchList(fields[1:2]), true
		case "search":
			c.search, searched = searchList(fields[1:]), true
		case "options":
			for _, option := range fields[1:] {
				c.option(option)
			}
		}
	}
	if len(c.servers) == 0 {
		c.servers = []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1})}
	}
	if !searched {
		c.search = ownDomain()
	}
	return c
}

func (c *resolvConf) option(option string) {
	name, value, _ := strings.Cut(option, ":")
	n, err := strconv.Atoi(value)
	switch name {
	case "ndots", "timeout", "attempts":
		if err != nil || n < 0 {
			return
		}
	}
	switch name {
	case "ndots":
		c.ndots = min(n, maxNdots)
	case "timeout":
		c.timeout = min(time.Duration(min(max(n, 1), 1000))*time.Second, maxTimeout)
	case "attempts":
		c.attempts = min(max(n, 1), maxAttempts)
	case "rotate":
		c.rotate = true
	case "single-request", "single-request-reopen":
		c.single = true
	case "use-vc":
		c.tcp = true
	case "edns0":
		c.edns0 = true
	}
}

// searchList returns the domains without their last dots. The root domain, which
// the list "." has, adds nothing to a name.
func searchList(fields []string) (list []string) {
	for _, domain := range fields {
		domain = strings.TrimSuffix(domain, ".")
		if domain != "" && len(list) < maxSearch && !slices.Contains(list, domain) {
			list = append(list, domain)
		}
	}
	return list
}

// ownDomain is the search list of a computer whose file has none: the domain in
// its own name.
func ownDomain() []string {
	name, err := os.Hostname()
	if err != nil {
		return nil
	}
	_, domain, _ := strings.Cut(name, ".")
	return searchList([]string{domain})
}

// names returns the full names to ask for, in this order, when a user wrote host.
// asWritten is the index of host itself.
func (c *resolvConf) names(host string) (list []string, asWritten int) {
	if full, ok := strings.CutSuffix(host, "."); ok {
		return []string{full}, 0
	}
	for _, domain := range c.search {
		list = append(list, host+"."+domain)
	}
	if strings.Count(host, ".") >= c.ndots {
		return slices.Insert(list, 0, host), 0
	}
	return append(list, host), len(list)
}
