package etcd

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.etcd.io/etcd/client/pkg/v3/transport"
	client "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"
	"go.uber.org/zap"

	"wgd/cmd/wgd-peers/etcd"
	"wgd/cmd/wgd-peers/store/storetest"
)

// An authority signs certificates.
type authority struct {
	t    *testing.T
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// newAuthority makes ca.pem in a folder.
func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{t: t, dir: t.TempDir()}
	a.cert = &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	a.key = a.sign("ca", a.cert, nil)
	return a
}

// sign makes NAME.pem and NAME-key.pem. Without a parent, the certificate signs itself.
func (a *authority) sign(name string, template *x509.Certificate, parent *ecdsa.PrivateKey) *ecdsa.PrivateKey {
	a.t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	if parent == nil {
		parent = k
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, k.Public(), parent)
	if err != nil {
		a.t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		a.t.Fatal(err)
	}
	for file, block := range map[string]*pem.Block{name + ".pem": {Type: "CERTIFICATE", Bytes: der}, name + "-key.pem": {Type: "PRIVATE KEY", Bytes: keyDER}} {
		if err := os.WriteFile(filepath.Join(a.dir, file), pem.EncodeToMemory(block), 0o600); err != nil {
			a.t.Fatal(err)
		}
	}
	return k
}

func (a *authority) leaf(name string) {
	a.t.Helper()
	a.sign(name, &x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}}, a.key)
}

func (a *authority) path(name string) string { return filepath.Join(a.dir, name) }

// With TLS, certificates of clients, users and roles: what is right works, and what is wrong
// is refused with a sentence that says what.
func TestTLSAndUsers(t *testing.T) {
	ours, theirs := newAuthority(t), newAuthority(t)
	ours.leaf("server")
	ours.leaf("client")
	theirs.leaf("client")
	c := newCluster(t, func(config *embed.Config) {
		config.ClientTLSInfo = transport.TLSInfo{CertFile: ours.path("server.pem"), KeyFile: ours.path("server-key.pem"), TrustedCAFile: ours.path("ca.pem"), ClientCertAuth: true}
	})
	address := c.address()
	prefix := prefixOf(address)
	secure := func(o *etcd.Options) {
		o.TLS, o.CA, o.Cert, o.Key = true, ours.path("ca.pem"), ours.path("client.pem"), ours.path("client-key.pem")
	}
	enableUsers(t, c, secure, prefix)
	login := func(credentials string) func(o *etcd.Options) {
		return func(o *etcd.Options) {
			secure(o)
			if err := o.SetCredentials([]byte(credentials + "\n")); err != nil {
				t.Fatal(err)
			}
		}
	}
	s := c.openWith(t, address, login("gateway:secret:word"))
	w := watch(t, s)
	storetest.Add(t, s, storetest.Numbered(0))
	w.within(t, 5*time.Second, 0)
	if _, _, err := s.Import(t.Context(), storetest.NumberedPeers(100), true, nil); err != nil {
		t.Error(err)
	}
	for name, test := range map[string]struct {
		configure func(o *etcd.Options)
		want      string
	}{
		"an unknown user": {secure, // etcd takes the common name of the certificate for the user
			"the user may not use the keys below " + prefix},
		"a wrong password":      {login("gateway:wrong"), "does not accept the user and the password"},
		"a user without rights": {login("guest:guest"), "the user may not use the keys below " + prefix},
		"no TLS":                {func(*etcd.Options) {}, "if it uses TLS, write etcds:"},
		"another authority":     {func(o *etcd.Options) { secure(o); o.CA = theirs.path("ca.pem") }, "certificate signed by unknown authority"},
		"another client": {func(o *etcd.Options) {
			secure(o)
			o.Cert, o.Key = theirs.path("client.pem"), theirs.path("client-key.pem")
		}, "no answer within 6s"},
		"no such file": {func(o *etcd.Options) { secure(o); o.CA = ours.path("none.pem") }, "--etcd-ca: open " + ours.path("none.pem")},
		"a key as CA":  {func(o *etcd.Options) { secure(o); o.CA = ours.path("ca-key.pem") }, "it has no certificate"},
		"no key":       {func(o *etcd.Options) { secure(o); o.Key = "" }, "give both"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o, err := etcd.ParseAddress(address)
			if err != nil {
				t.Fatal(err)
			}
			test.configure(o)
			if _, err := etcd.Open(t.Context(), o, true); err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "secret") || strings.Contains(err.Error(), "wrong") {
				t.Errorf("%v, want %q", err, test.want)
			}
		})
	}
}

// Where users are required, one without a user is told so.
func TestUserIsRequired(t *testing.T) {
	c := newCluster(t, plain)
	address := c.address()
	s := c.open(t, address)
	enableUsers(t, c, func(*etcd.Options) {}, prefixOf(address))
	if _, err := s.Revision(t.Context()); err == nil || !strings.Contains(err.Error(), "it requires a user and a password: give --etcd-credentials") {
		t.Errorf("%v", err)
	}
}

// enableUsers adds the users root, gateway, who may use the keys with a prefix, and guest,
// who may use none.
func enableUsers(t *testing.T, c *cluster, secure func(*etcd.Options), prefix string) {
	t.Helper()
	var o etcd.Options
	secure(&o)
	var config *tls.Config
	if o.TLS {
		var err error
		info := transport.TLSInfo{CertFile: o.Cert, KeyFile: o.Key, TrustedCAFile: o.CA}
		if config, err = info.ClientConfig(); err != nil {
			t.Fatal(err)
		}
	}
	k, err := client.New(client.Config{Endpoints: c.endpoints(), TLS: config, Logger: zap.NewNop()})
	if err != nil {
		t.Fatal(err)
	}
	defer k.Close()
	must := func(_ any, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	for user, password := range map[string]string{"root": "root", "gateway": "secret:word", "guest": "guest"} {
		must(k.UserAdd(t.Context(), user, password))
	}
	must(k.RoleAdd(t.Context(), "peers"))
	must(k.RoleGrantPermission(t.Context(), "peers", prefix, client.GetPrefixRangeEnd(prefix), client.PermissionType(client.PermReadWrite)))
	must(k.UserGrantRole(t.Context(), "gateway", "peers"))
	must(k.UserGrantRole(t.Context(), "root", "root"))
	must(k.AuthEnable(t.Context()))
}
