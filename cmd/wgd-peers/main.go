// Wgd-peers keeps the peers of gateways in a store. See wgd-peers(8).
package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"wgd/cmd/wgd-peers/etcd"
	"wgd/cmd/wgd-peers/sqlite"
	"wgd/cmd/wgd-peers/store"
	"wgd/conf"
	"wgd/internal/cli"
	"wgd/internal/control"
	"wgd/internal/quote"
	"wgd/internal/sys/process"
	"wgd/key"
)

func main() { cli.Main(command()) }

// defaultStore is the file of the store if none is named.
const defaultStore = "/var/lib/wgd/peers.db"

func command() *cli.Command {
	return &cli.Command{
		Name:    "wgd-peers",
		Summary: "keep the peers of WireGuard gateways in a store",
		Description: []string{
			"wgd-peers keeps the peers of one or several gateways in a store, which may hold a million of them. " +
				"The store is a SQLite file, whose schema is documented: any program that speaks SQL may read and write it at the same time. " +
				"Constraints of the schema refuse what cannot be.",
			"Gateways on several computers have their store in etcd, whose keys are documented as well. The user of etcd needs the permission readwrite for the prefix of the store.",
			"A PEER is given by its name or its public key. The commands that show peers also take an address inside the tunnel, " +
				"or the address and port of an endpoint.",
		},
		Forms:   []cli.Form{gatewayForm, addForm, setForm, deleteForm, listForm, importForm, exportForm, serveForm, statusForm, watchForm},
		Options: []cli.Option{optStore, optEtcdCA, optEtcdCert, optEtcdKey, optEtcdCredentials},
		Environment: []cli.Entry{
			{Term: etcd.CredentialsVariable, Text: "USER:PASSWORD for etcd, if --etcd-credentials is not given"},
		},
		Placeholder: map[string]string{
			"NAME":      "the name of a peer: up to 63 letters, digits and ._@-",
			"PEER":      "the name of a peer, or its public key",
			"INTERFACE": "the name of an interface: wg0 for example",
			"FILE":      "a file to import, a folder of files whose names end with .conf, or - for standard input",
		},
		Complete: map[string]func(before []string) []string{
			"PEER":      completePeer,
			"INTERFACE": completeInterface,
			"FILE":      completeFile,
			"FILE|URL":  completeFile,
			"FORMAT":    func([]string) []string { return formats() },
		},
		Files: []cli.Entry{
			{Term: defaultStore, Text: "the store, if --store names no other. Only its owner can read it: it holds preshared keys"},
			{Term: "/run/wgd-peers/NAME.sock", Text: "where wgd-peers serve says what it does for the interface NAME, for wgd-peers status; with mode 0600"},
		},
		Examples: []cli.Example{
			{Text: "Say once what all clients must know about the gateway:", Lines: []string{
				"wgd-peers gateway --public-key=$(wg show wg0 public-key) --endpoint=vpn.example.org:51820 --addresses=10.2.0.1/16"}},
			{Text: "Add a peer, show its configuration as a QR code, and write it to a file:", Lines: []string{"wgd-peers add alice -o alice.conf"}},
			{Text: "Take over the peers of an interface:", Lines: []string{"wg showconf wg0 | wgd-peers import -"}},
			{Text: "Revoke a peer:", Lines: []string{"wgd-peers set alice --revoke"}},
			{Text: "Give the interface wg0 those peers that talk to it:", Lines: []string{"wgd-peers serve wg0"}},
			{Text: "Make a backup, and restore it:", Lines: []string{"wgd-peers export > peers.csv", "wgd-peers import peers.csv"}},
		},
		SeeAlso: []string{"wgd(8)", "wgconfig(8)", "wg-keygen(8)"},
	}
}

var (
	optStore = cli.Option{Long: "store", Value: "FILE|URL", Text: "Use this store instead of " + defaultStore + ": a file, or file: and its path; or etcd://HOST:PORT,HOST:PORT/PREFIX, with the members of a cluster of etcd, or etcds: for the same with TLS. " +
		"The port is 2379 if there is none, and all keys begin with /PREFIX/ (/wgd/ if there is none)."}
	optJSON = cli.Option{Long: "json", Text: "Print JSON instead of text."}
)

// An opener opens one kind of store. If create is true, it makes a store that does not
// exist.
type opener func(ctx context.Context, c *cli.Call, address string, create bool) (store.Store, error)

// openers are the kinds of stores, by the scheme of their URLs.
var openers = map[string]opener{"file": openFile, "etcd": openEtcd(false), "etcds": openEtcd(true)}

func openFile(ctx context.Context, c *cli.Call, path string, create bool) (store.Store, error) {
	if err := noEtcd(c); err != nil {
		return nil, err
	}
	warnIfReadable(c, path, "the preshared keys in this store")
	return sqlite.Open(ctx, path, create)
}

// open opens the store of a call.
func open(ctx context.Context, c *cli.Call, create bool) (store.Store, error) {
	address, given := c.Value(optStore.Long)
	if !given {
		address = defaultStore
	}
	scheme, rest, isURL := strings.Cut(address, ":")
	if !isURL || strings.Contains(scheme, "/") {
		scheme, rest = "file", address
	} else if scheme == "file" {
		rest = strings.TrimPrefix(rest, "//")
	}
	kind := openers[scheme]
	switch {
	case kind == nil:
		return nil, fmt.Errorf("store %s: there is no such kind of store: give the path of a file, or etcd://HOST:PORT/PREFIX", quote.Path(address))
	case rest == "":
		return nil, errors.New("--store is empty: give the file of a store")
	}
	return kind(ctx, c, rest, create)
}

// location returns the file of a store, or its URL, for a person.
func location(c *cli.Call) string {
	if address, given := c.Value(optStore.Long); given {
		return quote.Path(address)
	}
	return defaultStore
}

// withStore calls do with the store of the call, until a signal ends it.
func withStore(c *cli.Call, create bool, do func(ctx context.Context, s store.Store) error) error {
	ctx, stop := process.UntilTerminated()
	defer stop()
	interrupted := func(err error) error {
		if err != nil && ctx.Err() != nil {
			return errors.New("interrupted: nothing was changed")
		}
		return err
	}
	s, err := open(ctx, c, create)
	if err != nil {
		return interrupted(err)
	}
	return errors.Join(interrupted(do(ctx, s)), s.Close())
}

// find returns the peer with a name or a public key.
func find(ctx context.Context, s store.Store, wanted string) (*store.Peer, error) {
	if public, err := key.ParsePublic(wanted); err == nil {
		p, err := s.ByKey(ctx, public)
		if errors.Is(err, store.ErrNotFound) { // do not print it: it may be a private key
			return nil, errors.New("the store has no peer with this public key: wgd-peers list shows them")
		}
		return p, err
	}
	err := conf.ValidName(wanted)
	if err != nil {
		return nil, err
	}
	p, err := s.ByName(ctx, wanted)
	if errors.Is(err, store.ErrNotFound) {
		return nil, fmt.Errorf("peer %s: the store has no such peer: wgd-peers list shows them", quote.Name(wanted))
	}
	return p, err
}

// search is find that also takes an endpoint, and an address inside the tunnel.
func search(ctx context.Context, s store.Store, wanted string) (p *store.Peer, err error) {
	if endpoint, e := netip.ParseAddrPort(wanted); e == nil {
		p, err = s.ByEndpoint(ctx, endpoint)
	} else if address, e := netip.ParseAddr(wanted); e == nil {
		p, err = s.ByAddress(ctx, address)
	} else {
		return find(ctx, s, wanted)
	}
	if errors.Is(err, store.ErrNotFound) {
		return nil, fmt.Errorf("%s: no peer of the store has this address: wgd-peers list shows them", quote.Name(wanted))
	}
	return p, err
}

// maxCompletions is how many names a shell is offered.
const maxCompletions = 1000

// completePeer offers the names of the first peers of the default store.
func completePeer([]string) (names []string) {
	ctx := context.Background()
	s, err := sqlite.Open(ctx, defaultStore, false)
	if err != nil {
		return nil
	}
	defer s.Close()
	for p, err := range s.All(ctx) {
		if err != nil || len(names) == maxCompletions {
			break
		}
		if p.Name != "" {
			names = append(names, p.Name)
		}
	}
	return names
}

func completeInterface([]string) []string {
	names, _ := control.Names()
	return names
}

func completeFile([]string) []string { return []string{cli.FilesHere} }
