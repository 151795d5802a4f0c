package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"wgd/conf"
	"wgd/internal/cli"
	"wgd/internal/control"
	"wgd/internal/netsetup"
	"wgd/internal/quote"
	"wgd/internal/sys/process"
	"wgd/internal/tunnelfile"
	"wgd/internal/wgconf"
)

const optDryRun = "dry-run"

var reloadForm = cli.Form{
	Syntax:  "reload CONF",
	Example: "wgd reload wg0",
	Summary: "make an interface that is up what its file says now",
	Options: []cli.Option{optVerbose, {Long: optDryRun, Text: "print what would be done, and change nothing"}},
	Text:    reloadText,
	Run:     runReload,
}

var reloadText = []string{
	"The file and the interface are compared: keys, port, mark and peers, addresses, MTU, routes, rules, firewall and DNS. What differs is changed, and printed, a line each. " +
		"What does not differ is not touched: sessions continue, and no packet is lost. New addresses, routes and rules are added before old ones are removed.",
	"What the file says counts. Where it says nothing, what wgd up chose and what a hook or another command has set stays: a key, a port, a mark, a preshared key. " +
		"What an earlier version of the file had is removed: a preshared key or a persistent keepalive, for example. " +
		"Peers that are not in the file are removed, unless a hook of wgd up added them. A peer that has moved keeps its endpoint as long as the Endpoint in the file is the same. If Endpoint has left the file, its name is no longer looked up, and the address in use stays.",
	"Hooks are not run. Those of wgd down are the ones that the file has then.",
	"Of a wgd proxy, keys, peers and services become what the file says. Give its name, or the path of its control socket.",
	"If something fails, what was done before it is undone, and the error says so. If wgd reload is killed, wgd down still undoes everything, and another wgd reload completes it.",
}

func runReload(c *cli.Call) error {
	if done, err := reloadProxy(c); done {
		return err
	}
	path, name, err := wgconf.Locate(c.Arg("CONF"))
	if err != nil {
		return err
	}
	ctx, stop := process.UntilTerminated()
	defer stop()
	return reload(ctx, c, path, name, c.Has(optDryRun))
}

// reloadProxy asks a wgd proxy to read its file again, if the word names one, or is the
// path of its socket.
func reloadProxy(c *cli.Call) (done bool, err error) {
	word := c.Arg("CONF")
	if strings.Contains(word, "/") && !strings.HasSuffix(word, ".sock") {
		return false, nil
	}
	client, err := control.Dial(word)
	if err != nil {
		return strings.Contains(word, "/"), err
	}
	defer client.Close()
	status, err := client.Status()
	defer status.Erase()
	switch {
	case err == nil && !status.InProcess && strings.Contains(word, "/"):
		return true, fmt.Errorf("%s: this is the control socket of an interface: give its name, or the path of its file: wgd reload %s", quote.Path(word), status.Name)
	case err != nil || !status.InProcess:
		return strings.Contains(word, "/"), err
	case c.Has(optDryRun):
		return true, fmt.Errorf("%s: --dry-run is for interfaces: wgd check says whether the file of a wgd proxy has errors", word)
	}
	if err := client.Reload(); err != nil {
		return true, err
	}
	_, err = fmt.Fprintf(c.Stdout, "%s: the file was read again\n", status.Name)
	return true, err
}

// reload makes the interface what the file says, and prints what it does. With dryRun it
// prints what it would do.
func reload(ctx context.Context, c *cli.Call, path, name string, dryRun bool) error {
	file, err := load(c, path)
	if err != nil {
		return err
	}
	secrets := file.Change()
	defer secrets.Erase()
	s, err := begin(c, name)
	if err != nil {
		return err
	}
	defer s.end()
	if err := s.findUp(); err != nil {
		return err
	}
	r := &reloading{session: s, file: file, known: s.setup.Record.Tunnel}
	if r.status, err = control.StatusOf(name); err != nil {
		return err
	}
	defer r.status.Erase()
	if err := r.plan(); err != nil {
		return err
	}
	if !dryRun {
		if err := r.carryOut(path); err != nil {
			return err
		}
	}
	return r.report(dryRun)
}

// findUp loads the record of an interface that is up.
func (s *session) findUp() error {
	if err := s.find(); err != nil {
		return err
	}
	exists, err := s.kernel.Find(s.name)
	switch record := s.setup.Record; {
	case err != nil:
		return err
	case !exists:
		return fmt.Errorf("%s: the interface is gone: wgd up %s brings it up again", s.name, s.name)
	case !record.Hooks || record.Tunnel == nil:
		return fmt.Errorf("%s: an earlier wgd up was interrupted: wgd down %s undoes what it did", s.name, s.name)
	}
	return s.sameInterface()
}

// sameInterface makes sure that the interface is the one that wgd up created.
func (s *session) sameInterface() error {
	info, err := s.kernel.Get(s.name)
	if err != nil {
		return err
	}
	if index := s.setup.Record.Index(); index != 0 && index != info.Index {
		return fmt.Errorf("%s: this is not the interface that wgd up brought up, but another one of that name: wgd down %s undoes what is left of the first one", s.name, s.name)
	}
	return nil
}

// reloading is one reload.
type reloading struct {
	*session
	file    *wgconf.File
	known   *tunnelfile.Known
	status  conf.Status // before
	lines   []string
	actions []netsetup.Action
	next    []netsetup.Step
}

// plan compares the file with the interface. It changes nothing.
func (r *reloading) plan() error {
	record := r.setup.Record
	difference := tunnelfile.Compare(r.file, r.known, &r.status)
	for _, n := range difference.Names {
		if err := r.follow(n.Endpoint, &difference.Change.Peers[n.Peer]); err != nil {
			return err
		}
	}
	facts, err := r.kernel.Facts(r.name, tunnelfile.After(&r.status, &difference.Change), r.setup.Store)
	if err != nil {
		return err
	}
	live, err := r.kernel.Live(r.name, &r.status)
	if err != nil {
		return err
	}
	network := &r.file.Interface.Network
	var inFile uint32
	if r.known.MarkInFile {
		inFile = r.known.Mark
	}
	next, mark := netsetup.Replan(record, r.file, r.planDNS(network), facts, live, inFile)
	r.next = next
	if live.Guards, err = r.kernel.Guards(next); err != nil {
		return err
	}
	r.lines = difference.Lines
	if !difference.Empty() {
		tunnel := &netsetup.Tunnel{Change: difference.Change, Back: tunnelfile.Back(&r.status, &difference.Change)}
		r.actions = append(r.actions, netsetup.Action{Tunnel: tunnel})
	}
	for _, a := range netsetup.Actions(record, next, mark, network.MTU != 0, live) {
		r.actions = append(r.actions, a)
		if !a.Passing() {
			r.lines = append(r.lines, a.String())
		}
	}
	if len(r.lines) == 0 && len(r.actions) > 0 {
		r.lines = []string{"remove the rules that a wgd reload left which was interrupted"}
	}
	return nil
}

// carryOut does what was planned.
func (r *reloading) carryOut(path string) error {
	next := newRecord(path, r.file, r.name)
	next.Hooks, next.Steps = true, r.next
	next.Tunnel = tunnelfile.Remember(r.file, &r.status, r.known)
	err := r.setup.Change(r.actions, next)
	var failure *netsetup.ChangeError
	switch {
	case errors.As(err, &failure) && len(failure.Left) > 0:
		return fmt.Errorf("%s: %w: wgd reload %s tries again, and wgd down %s undoes everything", r.name, err, r.name, r.name)
	case err != nil:
		return fmt.Errorf("%s: %w", r.name, err)
	}
	if err := r.kernel.AwaitAddresses(r.name); err != nil {
		r.call.Warnf("%v", err)
	}
	return r.remember(r.file, r.known)
}

// report prints what was done, or would be.
func (r *reloading) report(dryRun bool) error {
	if len(r.lines) == 0 {
		_, err := fmt.Fprintf(r.call.Stdout, "%s: nothing to do: the interface is what the file says\n", r.name)
		return err
	}
	would := ""
	if dryRun {
		would = "would "
	}
	for _, line := range r.lines {
		if slices.Contains(r.setup.NotDone, line) {
			continue // a warning has said so
		}
		if _, err := fmt.Fprintf(r.call.Stdout, "%s: %s%s\n", r.name, would, line); err != nil {
			return err
		}
	}
	return nil
}
