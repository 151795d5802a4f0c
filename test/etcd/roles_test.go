package etcd

import (
	"context"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	client "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"wgd/cmd/wgd-peers/etcd"
	"wgd/cmd/wgd-peers/store"
	"wgd/cmd/wgd-peers/store/storetest"
)

// A grant is a line of docs/fleet.md that gives the role of gateways a permission.
type grant struct {
	kind, key string
	prefix    bool
}

// grants reads those in docs/fleet.md.
func grants(t *testing.T) (list []grant) {
	t.Helper()
	page, err := os.ReadFile("../../docs/fleet.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`(?m)^    etcdctl role grant-permission (--prefix )?gateway (\w+) /wgd/(\S*)$`).FindAllStringSubmatch(string(page), -1) {
		list = append(list, grant{m[2], m[3], m[1] != ""})
	}
	if len(list) < 2 {
		t.Fatalf("docs/fleet.md has the permissions %v", list)
	}
	return list
}

// With the permissions that docs/fleet.md gives to a gateway, wgd-peers serve can do all that it
// does, and change no peer. Each of the permissions is needed.
func TestRoleOfGateways(t *testing.T) {
	c := newCluster(t, plain)
	address := c.address()
	admin := c.open(t, address)
	storetest.Add(t, admin, storetest.Numbered(0), storetest.Numbered(1))
	all := grants(t)
	kinds := map[string]client.PermissionType{"read": client.PermissionType(client.PermRead), "write": client.PermissionType(client.PermWrite)}
	roots := c.foreign(t)
	must := func(_ any, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	for user := range len(all) + 1 { // each but the last lacks one permission
		name := fmt.Sprint("gateway", user)
		must(roots.UserAdd(t.Context(), name, "secret"))
		must(roots.RoleAdd(t.Context(), name))
		must(roots.UserGrantRole(t.Context(), name, name))
		for i, g := range all {
			key, end := prefixOf(address)+g.key, ""
			if g.prefix {
				end = client.GetPrefixRangeEnd(key)
			}
			if i != user {
				must(roots.RoleGrantPermission(t.Context(), name, key, end, kinds[g.kind]))
			}
		}
	}
	must(roots.UserAdd(t.Context(), "root", "root"))
	must(roots.UserGrantRole(t.Context(), "root", "root"))
	must(roots.AuthEnable(t.Context()))
	for user := range len(all) + 1 {
		err := serveAs(t, c, address, fmt.Sprint("gateway", user), time.Now().Add(time.Duration(user)*time.Hour))
		if user == len(all) && err != nil {
			t.Errorf("with all permissions: %v", err)
		}
		if user == len(all) {
			continue
		}
		want := "the user may not use the keys"
		if all[user].key == "stamp_ceiling" && all[user].kind == "write" {
			want = "role grant-permission ROLE write " + prefixOf(address) + "stamp_ceiling" // and nothing more
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("without %+v: %v, want %q", all[user], err, want)
		}
	}
	s := c.openWith(t, address, loginAs(t, fmt.Sprint("gateway", len(all))))
	for what, err := range map[string]error{
		"add":         s.Add(t.Context(), storetest.Numbered(5), nil),
		"delete":      s.Delete(t.Context(), storetest.Numbered(0).PublicKey),
		"update":      s.Update(t.Context(), storetest.Numbered(0).PublicKey, func(p *store.Peer) error { p.Revoked = time.Now(); return nil }),
		"set gateway": s.SetGateway(t.Context(), &store.Gateway{}),
	} {
		if err == nil || !strings.Contains(err.Error(), "the user may not use the keys") {
			t.Errorf("a gateway may %s: %v", what, err)
		}
	}
	k, err := client.New(client.Config{Endpoints: c.endpoints(), Username: "root", Password: "root", Logger: zap.NewNop()})
	must(k, err)
	defer k.Close()
	must(k.AuthDisable(t.Context())) // so that the stores can be closed
}

func loginAs(t *testing.T, user string) func(*etcd.Options) {
	return func(o *etcd.Options) {
		if err := o.SetCredentials([]byte(user + ":secret")); err != nil {
			t.Fatal(err)
		}
	}
}

// serveAs does what wgd-peers serve does, at a time.
func serveAs(t *testing.T, c *cluster, address, user string, now time.Time) error {
	o, err := etcd.ParseAddress(address)
	if err != nil {
		t.Fatal(err)
	}
	loginAs(t, user)(o)
	s, err := etcd.Open(t.Context(), o, true)
	if err != nil {
		return err
	}
	defer s.Close()
	p := storetest.Numbered(0)
	if _, err = s.RaiseCeiling(t.Context(), now, now.Add(time.Minute)); err != nil {
		return err
	}
	for _, endpoint := range []int{7, 8} { // one is replaced
		if _, err := s.Record(t.Context(), []store.Sighting{{PublicKey: p.PublicKey, Endpoint: storetest.EndpointOf(endpoint), At: now, RxBytes: 1}}); err != nil {
			return err
		}
	}
	if _, err := s.ByKey(t.Context(), p.PublicKey); err != nil {
		return err
	}
	if _, err := s.ByEndpoint(t.Context(), storetest.EndpointOf(8)); err != nil {
		return err
	}
	if _, err := s.ByAddress(t.Context(), p.AllowedIPs[0].Addr()); err != nil {
		return err
	}
	revision, err := s.Revision(t.Context())
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	for _, err := range s.Watch(ctx, revision) {
		if err != nil && ctx.Err() == nil {
			return err
		}
	}
	return nil
}
