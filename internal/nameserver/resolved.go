package nameserver

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"wgd/internal/sys/resolved"
)

// A resolver is what this room needs of systemd-resolved.
type resolver interface {
	Answers(ctx context.Context) error
	Set(ctx context.Context, l resolved.Link) error
	Revert(ctx context.Context, index int) error
	HasServers(ctx context.Context, index int) (bool, error)
	Watch(ctx context.Context, started func())
}

// systemdResolved is the one of this network namespace.
type systemdResolved struct{}

func (systemdResolved) Answers(ctx context.Context) error { return resolved.Answers(ctx) }
func (systemdResolved) Set(ctx context.Context, l resolved.Link) error {
	return resolved.Set(ctx, l)
}
func (systemdResolved) Revert(ctx context.Context, index int) error {
	return resolved.Revert(ctx, index)
}
func (systemdResolved) HasServers(ctx context.Context, index int) (bool, error) {
	return resolved.HasServers(ctx, index)
}
func (systemdResolved) Watch(ctx context.Context, started func()) { resolved.Watch(ctx, started) }

// ErrElsewhere says why systemd-resolved is not in charge, although it may run.
var ErrElsewhere = errors.New("programs ask other name servers than systemd-resolved")

// resolvedInCharge returns nil if programs ask systemd-resolved, and it answers, or else
// what is not so.
func (s *Settings) resolvedInCharge() error {
	if !s.leadsToResolved() {
		return fmt.Errorf("%s: %w", s.resolvConf, ErrElsewhere)
	}
	return s.resolved.Answers(context.Background())
}

// resolvedDir is where systemd-resolved has files to which resolv.conf may lead. The first
// one names systemd-resolved, and the second one the name servers of all links.
const (
	resolvedDir  = "/run/systemd/resolve"
	stubFile     = resolvedDir + "/stub-resolv.conf"
	allLinksFile = resolvedDir + "/resolv.conf"
)

// leadsToResolved reports whether resolv.conf leads to systemd-resolved.
func (s *Settings) leadsToResolved() bool {
	if filepath.Dir(s.target()) == resolvedDir {
		return true
	}
	text, err := os.ReadFile(s.resolvConf)
	if err != nil {
		return s.libcAsksResolved() // without a file, libc asks nobody else
	}
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line)
		if len(fields) > 1 && fields[0] == "nameserver" && slices.Contains(stubAddresses, fields[1]) {
			return true
		}
	}
	return false
}

// stubAddresses are those at which systemd-resolved answers to programs.
var stubAddresses = []string{"127.0.0.53", "127.0.0.54"}

// target is the file to which the symbolic link resolv.conf leads, or "".
func (s *Settings) target() string {
	target, err := os.Readlink(s.resolvConf)
	if err != nil {
		return ""
	}
	if !filepath.IsAbs(target) {
		target = filepath.Join(filepath.Dir(s.resolvConf), target)
	}
	return filepath.Clean(target)
}

// libcAsksResolved reports whether libc asks systemd-resolved for the names of hosts
// without regard to resolv.conf.
func (s *Settings) libcAsksResolved() bool {
	text, err := os.ReadFile(s.nsswitch)
	if err != nil {
		return false
	}
	for line := range strings.Lines(string(text)) {
		modules, ok := strings.CutPrefix(strings.TrimSpace(line), "hosts:")
		if ok && slices.Contains(strings.Fields(modules), "resolve") {
			return true
		}
	}
	return false
}

// bypassed is a warning if programs that read resolv.conf ask name servers of all links.
func (s *Settings) bypassed() error {
	if s.target() != allLinksFile {
		return nil
	}
	return fmt.Errorf("%s leads to a list of the name servers of all interfaces, and programs that read it may ask any of them: link it to %s", s.resolvConf, stubFile)
}

// setLink gives the name servers to systemd-resolved. They are asked for all names, or if
// they are for some only, for no others.
func (s *Settings) setLink(r *record) error {
	l := resolved.Link{Index: r.Index, Servers: r.Servers, DefaultRoute: !r.split()}
	for _, domain := range r.Search {
		l.Domains = append(l.Domains, resolved.Domain{Name: domain})
	}
	for _, domain := range r.Route {
		l.Domains = append(l.Domains, resolved.Domain{Name: domain, RouteOnly: true})
	}
	if len(r.Route) == 0 {
		l.Domains = append(l.Domains, resolved.Domain{Name: ".", RouteOnly: true})
	}
	return s.change(func() error { return s.resolved.Set(context.Background(), l) })
}

// revertLink makes systemd-resolved forget the name servers. With the interface, it has
// forgotten them.
func (s *Settings) revertLink(name string, r *record) error {
	if index, err := s.index(name); err != nil || index != r.Index {
		return nil
	}
	if err := s.change(func() error { return s.resolved.Revert(context.Background(), r.Index) }); err != nil {
		return fmt.Errorf("the name servers may be in use until the interface is gone: %w", err)
	}
	return nil
}
