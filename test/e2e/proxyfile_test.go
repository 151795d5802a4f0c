package e2e

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"wgd/internal/resolve/dns/dnstest"
	"wgd/test/lab"
)

// hostPage serves a page that says at which address the server was reached.
var hostPage = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	fmt.Fprintf(w, "page at %v", r.Context().Value(http.LocalAddrContextKey))
})

// writeCertificate writes a certificate of 127.0.0.1 that signs itself, and its key, to
// /run/cert and /run/key.
func writeCertificate(t *testing.T, h *lab.Host) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: "proxy"}, NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	h.Write("/run/cert", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate})))
	h.Write("/run/key", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})))
}

// Curl uses an HTTP proxy by TLS, whose certificate it checks, and also that one which has
// replaced it while the proxy runs.
func TestProxyByTLS(t *testing.T) {
	t.Parallel()
	a, b, inside := proxyPair(t, "[http]\nBindAddress = 127.0.0.1:8443\nUsername = me\nPassword = it\nCertFile = /run/cert\nKeyFile = /run/key\n")
	inside.SetAddrs("web.test", 60, "10.2.0.1")
	webOn(t, a, hostPage)
	writeCertificate(t, b)
	startProxy(t, b, "")
	const curl = "curl -sS -m 30 --proxy-cacert /run/ca --proxy-user me:it "
	for range 2 {
		b.Must("cp /run/cert /run/ca")
		contains(t, b.Must(curl+"--proxy https://127.0.0.1:8443 http://web.test/"), "page at 10.2.0.1:80")
		contains(t, b.Must(curl+"--proxy https://127.0.0.1:8443 -k https://web.test/"), "page at 10.2.0.1:443")
		if got := b.Run(curl + "--proxy http://127.0.0.1:8443 http://web.test/"); got.Code == 0 && strings.Contains(got.Out, "page at") {
			t.Error("the proxy speaks HTTP without TLS too")
		}
		writeCertificate(t, b)
		if got := b.Run(curl + "--proxy https://127.0.0.1:8443 http://web.test/"); got.Code != 60 {
			t.Errorf("curl accepts the new certificate with the old one as its authority: status %d: %s", got.Code, got.Out)
		}
	}
}

// The name in an Endpoint is looked up outside of the tunnel, and again when the peer has
// moved. Names inside the tunnel are not. // A63
func TestProxyEndpointByName(t *testing.T) {
	t.Parallel()
	a, b, inside := proxyPair(t, "[Socks5]\nBindAddress = 127.0.0.1:1080\n")
	inside.SetAddrs("web.test", 60, "10.2.0.1")
	outside := dnstest.StartOn(t, a.PID(), "192.0.2.1")
	outside.SetAddrs("a.example", 1, "198.18.0.1")
	webOn(t, a, hostPage)
	b.Write("/etc/resolv.conf", "nameserver 192.0.2.1\n")
	b.Must("sed -i 's/^Endpoint = .*/Endpoint = a.example:1234\\nPersistentKeepalive = 1/' /etc/wireguard/wg0.conf")
	startProxy(t, b, "")
	const curl = "curl -sS -m 20 -x socks5h://127.0.0.1:1080 http://web.test/"
	contains(t, b.Must(curl), "page at 10.2.0.1:80")

	// After a new start, the peer does not know where b is, so b has to find it.
	outside.SetAddrs("a.example", 1, "198.18.0.9")
	a.Must("wgd down wg0 && ip addr del 198.18.0.1/32 dev lo && wgd up wg0")
	lab.Until(t, 120*time.Second, "the peer is found at its new address", func() (bool, string) {
		got := b.Must("wgconfig wg0 show peer A")
		return strings.Contains(got, "endpoint: 198.18.0.9:1234"), got
	})
	contains(t, b.Must(curl), "page at 10.2.0.1:80")
	if outside.Asked("a.example") < 2 || inside.Asked("a.example") != 0 {
		t.Errorf("the name of the endpoint was asked for %d times outside and %d times inside", outside.Asked("a.example"), inside.Asked("a.example"))
	}
	if inside.Asked("web.test") == 0 || outside.Asked("web.test") != 0 {
		t.Errorf("a name in the tunnel was asked for %d times inside and %d times outside", inside.Asked("web.test"), outside.Asked("web.test"))
	}
}

// ticks serves a stream that never ends.
func ticks(w http.ResponseWriter, r *http.Request) {
	for r.Context().Err() == nil {
		fmt.Fprintln(w, "tick")
		_ = http.NewResponseController(w).Flush()
		time.Sleep(50 * time.Millisecond)
	}
}

// A reload adds, changes and removes peers, and a connection through another peer goes on.
func TestProxyReloadsPeers(t *testing.T) {
	t.Parallel()
	a, b, _ := proxyPair(t, "")
	privateC, publicC := keyPair(a)
	publicB := strings.TrimSpace(b.Must("sed -n 's/^PrivateKey = //p' /etc/wireguard/wg0.conf | wg-keygen --pub"))
	psk := strings.TrimSpace(a.Must("wg-keygen --psk"))
	a.Write("/etc/wireguard/wg1.conf", "[Interface]\nPrivateKey = "+privateC+"\nListenPort = 1235\nAddress = 10.3.0.1/24\nTable = 77\n[Peer]\nPublicKey = "+publicB+"\nAllowedIPs = 10.2.0.2/32\nPresharedKey = "+psk+"\n")
	// The answers of both go to one address of b: a rule sends those of C through wg1.
	a.Must("wgd up wg1 && ip rule add from 10.3.0.1 table 77")
	webAt(t, a, http.HandlerFunc(ticks), "10.2.0.1:81")
	webAt(t, a, hostPage, "10.3.0.1:80")
	b.Must("sed -i 's|^AllowedIPs = .*|AllowedIPs = 10.2.0.0/24|' /etc/wireguard/wg0.conf && cp -p /etc/wireguard/wg0.conf /run/A.conf")
	startProxy(t, b, "--socks5 127.0.0.1:1080")
	b.Must("(curl -sSN -x socks5h://127.0.0.1:1080 http://10.2.0.1:81/ > /run/ticks 2>&1 & echo $! > /run/curl; wait; echo ended >> /run/ticks) > /dev/null 2>&1 &")
	reload := func(peer string, want int) {
		t.Helper()
		before := len(b.Run("cat /run/ticks").Out)
		b.Must("cp -p /run/A.conf /etc/wireguard/wg0.conf && printf '%s' >> /etc/wireguard/wg0.conf && wgd reload wg0", peer)
		if got := strings.Count(b.Must("wgconfig wg0 show all"), "public-key: "); got != want {
			t.Errorf("%d peers after the reload, want %d", got, want)
		}
		lab.Until(t, 60*time.Second, "the connection through A goes on", func() (bool, string) {
			got := b.Run("cat /run/ticks").Out
			return len(got) > before+20, fmt.Sprintf("%d bytes: %.100s", len(got), got)
		})
	}
	const curl = "curl -sS -m 20 -x socks5h://127.0.0.1:1080 http://10.3.0.1/"
	fails := func(when string) {
		t.Helper()
		if got := b.Run(strings.Replace(curl, "-m 20", "-m 2", 1)); got.Code == 0 {
			t.Errorf("%s, C is reached: %s", when, got.Out)
		}
	}
	fails("before it is a peer")
	c := "\\n[Peer]\\n# Name = C\\nPublicKey = " + publicC + "\\nEndpoint = 198.18.0.1:1235\\nAllowedIPs = 10.3.0.0/24\\n"
	reload(c, 2)
	fails("with another preshared key")
	reload(c+"PresharedKey = "+psk+"\\n", 2)
	contains(t, b.Must(curl), "page at 10.3.0.1:80")
	reload("", 1)
	fails("when it has left the file")
	if got := b.Run("cat /run/ticks").Out; strings.Contains(got, "ended") {
		t.Error("the connection through A has ended")
	}
	b.Must("kill $(cat /run/curl)")
}

// ResolveStrategy chooses the family of a name, inside the tunnel and for targets outside.
func TestProxyResolveStrategy(t *testing.T) {
	t.Parallel()
	a, b, inside := proxyPair(t, "[TCPClientTunnel]\nBindAddress = 127.0.0.1:8001\nTarget = web.test:80\n\n[Resolve]\nResolveStrategy = ipv4\n")
	inside.SetAddrs("web.test", 60, "10.2.0.1", "fd00:2::1")
	webOn(t, a, hostPage)
	webAt(t, b, hostPage, "127.0.0.1:88", "[::1]:88")
	b.Must("printf '127.0.0.1 both.test\\n::1 both.test\\n' >> /etc/hosts")
	for _, c := range []struct{ family, inside, outside string }{
		{"ipv4", "page at 10.2.0.1:80", "page at 127.0.0.1:88"},
		{"ipv6", "page at [fd00:2::1]:80", "page at [::1]:88"},
	} {
		b.Must("sed -i 's/^ResolveStrategy = .*/ResolveStrategy = %s/' /etc/wireguard/wg0.conf", c.family)
		startProxy(t, b, "--remote 81=both.test:88")
		contains(t, b.Must("curl -sS -m 20 http://127.0.0.1:8001/"), c.inside)
		contains(t, a.Must("curl -sS -m 20 http://10.2.0.2:81/"), c.outside)
		b.Must("sed -i 's/^ResolveStrategy = .*/ResolveStrategy = auto/' /etc/wireguard/wg0.conf")
		b.Fails(1, "wgd reload wg0", "ResolveStrategy: start wgd proxy anew")
		b.Must("kill -TERM %d", b.Daemon(lab.Ours).PID)
		foregroundEnds(t, b, "0")
	}
	b.Must("sed -i '/^Address/s/, .*//; s/^DNS = .*//' /etc/wireguard/wg0.conf")
	b.Fails(1, "wgd proxy wg0 --ping fd00:2::1", "the tunnel has no IPv6 address")
}
