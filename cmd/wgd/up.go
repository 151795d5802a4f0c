package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"wgd/conf"
	"wgd/internal/cli"
	"wgd/internal/control"
	"wgd/internal/netsetup"
	"wgd/internal/resolve"
	"wgd/internal/sys/process"
	"wgd/internal/tunnelfile"
	"wgd/internal/wgconf"
)

var optVerbose = cli.Option{Long: "verbose", Short: 'v', Text: "print on standard error what is done"}

var upForm = cli.Form{
	Syntax:  "up CONF",
	Example: "wgd up wg0",
	Summary: "bring up the interface that a configuration file describes",
	Options: []cli.Option{optForeground, optVerbose, optReadGroup},
	Text:    upText,
	Run:     runUp,
}

var upText = []string{
	"The file has the format of wg-quick(8); see wgd.conf(5). In this order, the daemon is started, and with it the interface; PreUp is run; keys and peers are configured; " +
		"addresses and the MTU are set; the interface is brought up; routes are added to all AllowedIPs; and PostUp is run. " +
		"If any of this fails, everything before it is undone, but for what hooks did.",
	"Without MTU in the file, the MTU is the smallest one on the routes to the endpoints, or else that of the default route, minus 80 bytes. " +
		"If the tunnel carries IPv6, it is 1280 at least.",
	"A default route goes to a routing table of its own. A rule leads all packets there but those with the tunnel's firewall mark; a rule before it leads packets to " +
		"the table main if that has a route for them which is not a default route. " +
		"Without FwMark in the file, mark and table are the first number from 51820 on of which there is no table. " +
		"The firewall (nftables) drops what comes from other interfaces to the addresses of the tunnel, and lets the answers of peers pass strict reverse path filtering. " +
		"Where the kernel has no nftables, a warning says so.",
	"DNS is set by what is in charge: systemd-resolved, if /etc/resolv.conf leads to it and it runs; or resolvconf(8), openresolv's or Debian's, if /etc/resolv.conf has the name servers afterwards. " +
		"Otherwise that file is replaced, and the original is kept as /etc/resolv.conf.wgd; a file that is a mount of its own, as in containers, is written to. " +
		"Name servers for some domains only (~DOMAIN) need systemd-resolved. The daemon sets the name servers again when systemd-resolved is started again. " +
		"If the name servers cannot be set, a warning says so, and the tunnel comes up.",
	"Without the right to create an interface, wgd up says which right is missing, and which commands do without it. In a user namespace with a network namespace of its own (unshare -Ur --net), it works for every user who may open /dev/net/tun.",
	"What is done is recorded before it is done. So wgd down can undo it even if wgd up was killed.",
	"Hooks are run by bash(1), or by sh(1) where there is no bash.",
	"With -f, for containers and service managers, wgd up itself is the daemon, and stays in the foreground. SIGTERM and SIGINT do what wgd down does, and end it; a second signal ends hooks that are running and skips the rest. " +
		"If the interface is deleted, or wgd down takes it down, wgd up ends as well, and leaves nothing. SIGHUP does what wgd reload does. " +
		"A service manager that sets NOTIFY_SOCKET is told when the tunnel is up. As the first process of a container, it also waits for processes that hooks left.",
}

// runUp brings up the interface that a file describes. If anything fails, it undoes
// everything.
func runUp(c *cli.Call) error {
	path, name, err := wgconf.Locate(c.Arg("CONF"))
	if err != nil {
		return err
	}
	if c.Has(optForeground.Long) {
		return upForeground(c, path, name)
	}
	ctx, stop := process.UntilTerminated()
	defer stop()
	return up(ctx, c, path, name, nil)
}

// up brings the interface up. Its daemon is d, or if that is nil, a process in the
// background. If anything fails, up undoes everything.
func up(ctx context.Context, c *cli.Call, path, name string, d *ownDaemon) error {
	readers, err := readGroup(c)
	if err != nil {
		return err
	}
	file, err := load(c, path)
	if err != nil {
		return err
	}
	change := file.Change()
	defer change.Erase()
	s, err := begin(c, name)
	if err != nil {
		return explainRights(name, c.Arg("CONF"), err)
	}
	defer s.end()
	s.readers = readers
	if d != nil {
		s.use(d)
	}
	if err := s.free(); err != nil {
		return err
	}
	if err := s.kernel.DNS.Recover(); err != nil {
		c.Warnf("%s: DNS: what an earlier wgd up left cannot be restored: %v", name, err)
	}
	s.setup.Record = newRecord(path, file, name)
	err = s.bringUp(ctx, file, &change)
	if err == nil {
		return nil
	}
	if undo := s.setup.Undo(); undo != nil {
		return errors.Join(err, fmt.Errorf("%s: not everything could be undone: wgd down %s tries again: %w", name, name, undo))
	}
	return err
}

func newRecord(path string, file *wgconf.File, name string) *netsetup.Record {
	if absolute, err := filepath.Abs(path); err == nil {
		path = absolute
	}
	network := &file.Interface.Network
	return &netsetup.Record{
		Interface: name, File: path,
		PreDown:  commands(network.PreDown, name),
		PostDown: commands(network.PostDown, name),
	}
}

// free makes sure that there is nothing of that name yet. What an interface left whose
// daemon was killed is undone.
func (s *session) free() error {
	record, err := s.setup.Store.Load(s.name)
	if err != nil {
		return err
	}
	exists, err := s.kernel.Find(s.name)
	switch {
	case err != nil:
		return err
	case exists && record == nil:
		return fmt.Errorf("%s: the interface exists already, and wgd up did not create it: delete it, or rename the file", s.name)
	case exists && !record.Hooks:
		return fmt.Errorf("%s: an earlier wgd up was interrupted: wgd down %s undoes what it did", s.name, s.name)
	case exists:
		return fmt.Errorf("%s: the interface is up already: wgd down %s takes it down", s.name, s.name)
	case record == nil:
		return nil
	}
	s.note(s.name + ": undo what is left of an earlier wgd up: the interface is gone")
	s.setup.Record = record
	return s.setup.Undo()
}

// bringUp follows the order of wg-quick: PreUp is run when the interface exists, and can
// already configure it.
func (s *session) bringUp(ctx context.Context, file *wgconf.File, change *conf.Change) error {
	network := &file.Interface.Network
	if err := s.setup.Do(netsetup.Step{Create: &netsetup.Created{}}); err != nil {
		return explainRights(s.name, s.call.Arg("CONF"), err)
	}
	if err := s.run(ctx, "PreUp", commands(network.PreUp, s.name)); err != nil {
		return err
	}
	if err := s.followNames(file, change); err != nil {
		return err
	}
	if err := s.configure(change); err != nil {
		return err
	}
	status, err := s.awaitNames(ctx)
	if err != nil {
		return err
	}
	defer status.Erase()
	facts, err := s.kernel.Facts(s.name, &status, s.setup.Store)
	if err != nil {
		return err
	}
	for plan := netsetup.Plan(s.name, file, s.planDNS(network), facts); len(plan) > 0; {
		if ctx.Err() != nil {
			return s.interrupted()
		}
		n := netsetup.Together(plan)
		if err := s.setup.Do(plan[:n]...); err != nil {
			return err
		}
		plan = plan[n:]
	}
	if err := s.setup.BeginHooks(); err != nil {
		return err
	}
	if err := s.run(ctx, "PostUp", commands(network.PostUp, s.name)); err != nil {
		return err
	}
	return s.remember(file, nil)
}

// planDNS plans the name servers. What keeps them from being set is a warning.
func (s *session) planDNS(network *wgconf.Network) []netsetup.Step {
	dns, err := netsetup.PlanDNS(&network.DNS)
	if err != nil {
		s.call.Warnf("%s: DNS is not set, and the system continues to ask its own name servers: %v: PostUp can set it", s.name, err)
	}
	return dns
}

func (s *session) interrupted() error {
	return fmt.Errorf("%s: interrupted: what was done is undone", s.name)
}

// followNames makes the peers follow their endpoints that are names.
func (s *session) followNames(file *wgconf.File, change *conf.Change) error {
	for i := range file.Peers {
		endpoint := file.Peers[i].Endpoint
		if endpoint == (resolve.Endpoint{}) || change.Peers[i].Endpoint != nil {
			continue
		}
		if err := s.follow(endpoint, &change.Peers[i]); err != nil {
			return err
		}
	}
	return nil
}

// follow makes a peer follow a name, which the daemon looks up.
func (s *session) follow(endpoint resolve.Endpoint, peer *conf.PeerChange) error {
	name, err := endpoint.Named()
	if err != nil {
		return fmt.Errorf("%s: %w", s.name, err)
	}
	peer.EndpointName = &name
	return nil
}

// How long wgd up waits for the names of endpoints, and how often it looks.
const (
	namesTimeout = 5 * time.Second
	namesPause   = 20 * time.Millisecond
)

// awaitNames waits until the names of endpoints are known, because the MTU depends on the
// routes to them. It warns of those that are not, and goes on: the daemon continues to
// look them up.
func (s *session) awaitNames(ctx context.Context) (conf.Status, error) {
	ctx, cancel := context.WithTimeout(ctx, namesTimeout)
	defer cancel()
	for {
		status, err := control.StatusOf(s.name)
		if err != nil {
			return status, err
		}
		missing, waiting := missingNames(&status)
		if len(missing) == 0 || !waiting || ctx.Err() != nil {
			for _, p := range missing {
				s.call.Warnf("%s: endpoint %s: %s: the daemon continues to look it up", s.name, p.EndpointName, cmp.Or(p.EndpointFailure, "no name server has answered yet"))
			}
			return status, nil
		}
		status.Erase()
		select {
		case <-ctx.Done():
		case <-time.After(namesPause):
		}
	}
}

// missingNames returns the peers whose names have no address yet, and whether one of them
// is still waiting for its first answer.
func missingNames(status *conf.Status) (missing []*conf.PeerStatus, waiting bool) {
	for i := range status.Peers {
		if p := &status.Peers[i]; p.EndpointName != "" && !p.Endpoint.IsValid() {
			missing = append(missing, p)
			waiting = waiting || p.EndpointFailure == ""
		}
	}
	return missing, waiting
}

// configure gives the daemon the keys and the peers. What PreUp configured stays, unless
// the file says otherwise.
func (s *session) configure(change *conf.Change) error {
	s.note(s.name + ": configure keys and peers")
	change.ReplacePeers = false
	return s.kernel.Configure(s.name, *change)
}

// remember records the tunnel as it is when everything is done, for wgd reload and wgd
// save. before is what the record had about it, or nil.
func (s *session) remember(file *wgconf.File, before *tunnelfile.Known) error {
	status, err := control.StatusOf(s.name)
	if err != nil {
		return err
	}
	defer status.Erase()
	s.setup.Record.Tunnel = tunnelfile.Remember(file, &status, before)
	return s.setup.Save()
}
