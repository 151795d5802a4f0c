package web

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"wgd/conf"
	"wgd/internal/control"
	"wgd/internal/control/controltest"
	"wgd/internal/wgconf"
	"wgd/key"
)

// send sends a form, and returns the answer.
func send(t *testing.T, h *Handler, body string) (a answerJSON) {
	t.Helper()
	r := httptest.NewRequest("POST", "http://127.0.0.1:9587/change", strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	r.AddCookie(&http.Cookie{Name: h.cookie, Value: h.session})
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	text, _ := io.ReadAll(w.Result().Body)
	if err := json.Unmarshal(text, &a); err != nil || w.Code != http.StatusOK {
		t.Fatalf("%s: %d, %v in %.300q", body, w.Code, err, text)
	}
	if strings.Contains(string(text), secret) {
		t.Errorf("%s: the private key of the interface is in the answer", body)
	}
	return a
}

// The public keys of a peer of serve, and of another one.
const (
	hasKey = "AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
	newKey = "X7EGm3T3IfodBcyilkaC89j0SH3XD6+/pwvp7Dgp5SU="
)

// TestForms proves that each form is answered with the errors of its fields or the command
// that does the same, and changes nothing before it is to be applied.
func TestForms(t *testing.T) {
	controltest.UseTempDir(t, &control.Dir)
	target, _ := serve(t, "wg0", 2)
	own := target.Status().PublicKey.Base64()
	h, _ := newHandler()
	for _, c := range []struct{ name, form, command, field, says string }{
		{"add", `"action":"add","name":"B","key":"` + newKey + `","allowed":"10.2.0.42/32","endpoint":"","keepalive":""`,
			"wgconfig wg0 add peer B " + newKey + " --allowed-ips=10.2.0.42/32", "", ""},
		{"add, all", `"action":"add","name":"B","key":" ` + newKey + `","allowed":"10.2.0.42/32, fd00::2/128","endpoint":"[2001:db8::1]:1","keepalive":"25"`,
			"wgconfig wg0 add peer B " + newKey + " '--allowed-ips=10.2.0.42/32, fd00::2/128' '--endpoint=[2001:db8::1]:1' --persistent-keepalive=25", "", ""},
		{"add, no name", `"action":"add","name":"","key":"` + newKey + `"`, "", "name", "name"},
		{"add, bad name", `"action":"add","name":"a b","key":"` + newKey + `"`, "", "name", "letters"},
		{"add, name of another", `"action":"add","name":"peer00001","key":"` + newKey + `"`, "", "name", "has a peer with this name"},
		{"add, key of another", `"action":"add","name":"B","key":"` + hasKey + `"`, "", "key", "already has this public key"},
		{"add, own key", `"action":"add","name":"B","key":"` + own + `"`, "", "key", "own"},
		{"add, no key", `"action":"add","name":"B","key":"x"`, "", "key", "key"},
		{"add, bad prefix", `"action":"add","name":"B","key":"` + newKey + `","allowed":"10.2.0.42"`, "", "allowed", "no prefix length"},
		{"add, bad endpoint", `"action":"add","name":"B","key":"` + newKey + `","endpoint":"host"`, "", "endpoint", "no port"},
		{"add, bad keepalive", `"action":"add","name":"B","key":"` + newKey + `","keepalive":"1m"`, "", "keepalive", "or off"},
		{"set", `"action":"set","key":"` + hasKey + `","name":"C","keepalive":"off"`, "wgconfig wg0 set peer peer00000 --rename=C --persistent-keepalive=off", "", ""},
		{"set, none", `"action":"set","key":"` + hasKey + `","allowed":""`, "wgconfig wg0 set peer peer00000 --allowed-ips=", "", ""},
		{"set, name of another", `"action":"set","key":"` + hasKey + `","name":"peer00001"`, "", "name", "another peer with this name"},
		{"set, endpoint removed", `"action":"set","key":"` + hasKey + `","endpoint":""`, "", "endpoint", "cannot be removed"},
		{"set, nothing", `"action":"set","key":"` + hasKey + `"`, "", "", "nothing to change"},
		{"set, gone", `"action":"set","key":"` + newKey + `","allowed":""`, "", "key", "no peer"},
		{"delete", `"action":"delete","key":"` + hasKey + `"`, "wgconfig wg0 delete peer peer00000", "", ""},
		{"unknown", `"action":"explode"`, "", "", "does not know"},
		{"client", `"action":"add","name":"B","client":{"address":"10.0.0.7/32","endpoint":"vpn.example.org:1","allowed":"0.0.0.0/0"}`,
			`(umask 077; wg-keygen >B.key) && wgconfig wg0 add peer B "$(wg-keygen --pub <B.key)" --allowed-ips=10.0.0.7/32`, "", ""},
		{"client, no address", `"action":"add","name":"B","client":{"endpoint":"vpn.example.org:1","allowed":"0.0.0.0/0"}`, "", "address", "10.0.0.2/32,fd00::2/128"},
		{"client, a network", `"action":"add","name":"B","client":{"address":"10.0.0.7/24","endpoint":"vpn.example.org:1","allowed":"0.0.0.0/0"}`, "", "address", "is a network"},
		{"client, DNS with a zone", `"action":"add","name":"B","client":{"address":"10.0.0.7/32","endpoint":"vpn.example.org:1","allowed":"0.0.0.0/0","dns":"fe80::1%x\nPostUp=y"}`, "", "dns", "not an IP address"},
		{"client, no endpoint", `"action":"add","name":"B","client":{"address":"10.0.0.7/32","allowed":"0.0.0.0/0"}`, "", "client-endpoint", "reaches this host"},
		{"client, bad endpoint", `"action":"add","name":"B","client":{"address":"10.0.0.7/32","endpoint":"a b:1\nPostUp = x","allowed":"0.0.0.0/0"}`, "", "client-endpoint", "not a host"},
		{"client, nothing reached", `"action":"add","name":"B","client":{"address":"10.0.0.7/32","endpoint":"vpn.example.org:1"}`, "", "client-allowed", "0.0.0.0/0"},
		{"client, DNS", `"action":"add","name":"B","client":{"address":"10.0.0.7/32","endpoint":"vpn.example.org:1","allowed":"0.0.0.0/0","dns":"1.1.1.1\nPostUp = x"}`, "", "dns", "not an IP address"},
		{"client, name of another", `"action":"add","name":"peer00001","client":{"address":"10.0.0.7/32","endpoint":"vpn.example.org:1","allowed":"0.0.0.0/0"}`, "", "name", "has a peer with this name"},
	} {
		a := send(t, h, `{"interface":"wg0",`+c.form+`}`)
		got := a.Error
		if c.field != "" {
			got = a.Errors[c.field]
		}
		if a.Command != c.command || !strings.Contains(got, c.says) || c.says == "" && (got != "" || len(a.Errors) > 0) || a.Done {
			t.Errorf("%s: %+v\nwant the command %q, and %q in the error of %q", c.name, a, c.command, c.says, c.field)
		}
	}
	for _, change := range target.Applied() {
		if len(change.Peers) > 0 {
			t.Errorf("a form that was not to be applied has changed %+v", change)
		}
	}
}

// TestApply proves that a form does what it says, and only that, and that the daemon's
// refusal is answered.
func TestApply(t *testing.T) {
	controltest.UseTempDir(t, &control.Dir)
	target, _ := serve(t, "wg0", 2)
	h, _ := newHandler()
	if a := send(t, h, `{"interface":"wg0","apply":true,"action":"add","name":"B","key":"`+newKey+`","allowed":"10.9.0.1/32","keepalive":"25","endpoint":"192.0.2.1:5"}`); !a.Done {
		t.Fatalf("add: %+v", a)
	}
	p := target.Status().Peers[2]
	if p.Name != "B" || p.PublicKey.Base64() != newKey || p.PersistentKeepalive != 25 || p.Endpoint.String() != "192.0.2.1:5" || len(p.AllowedIPs) != 1 {
		t.Errorf("added: %+v", p)
	}
	if a := send(t, h, `{"interface":"wg0","apply":true,"action":"set","key":"`+newKey+`","allowed":"10.9.0.2/32"}`); !a.Done {
		t.Fatalf("set: %+v", a)
	}
	if q := target.Status().Peers[2]; q.AllowedIPs[0].String() != "10.9.0.2/32" || len(q.AllowedIPs) != 1 || q.Name != "B" || q.PersistentKeepalive != 25 {
		t.Errorf("changed: %+v", q)
	}
	target.Refuse(errors.New("the daemon does not want to"))
	a := send(t, h, `{"interface":"wg0","apply":true,"action":"delete","key":"`+newKey+`"}`)
	if a.Done || !strings.Contains(a.Error, "does not want to") || len(target.Status().Peers) != 3 {
		t.Errorf("refused: %+v", a)
	}
	target.Refuse(nil)
	if a := send(t, h, `{"interface":"wg0","apply":true,"action":"delete","key":"`+newKey+`"}`); !a.Done || len(target.Status().Peers) != 2 {
		t.Errorf("delete: %+v", a)
	}
	if a := send(t, h, `{"interface":"wg9","apply":true,"action":"delete","key":"`+newKey+`"}`); a.Done || !strings.Contains(a.Error, "wg9") {
		t.Errorf("no such interface: %+v", a)
	}
}

// TestClientFile proves that the file for a new peer is valid, has the other half of the key
// that the interface has got, and is in the QR code.
func TestClientFile(t *testing.T) {
	controltest.UseTempDir(t, &control.Dir)
	target, _ := serve(t, "wg0", 2)
	h, _ := newHandler()
	form := `{"interface":"wg0","apply":true,"action":"add","name":"B","client":{"address":"10.0.0.7/32,fd00::7/128","endpoint":"vpn.example.org:51820","allowed":"10.0.0.0/24","dns":"10.0.0.1"}}`
	a := send(t, h, form)
	if !a.Done || a.File == nil || a.File.Name != "B.conf" {
		t.Fatalf("%+v", a)
	}
	file, problems := wgconf.Parse([]byte(a.File.Text)).Decode(wgconf.Env{})
	if len(problems) > 0 {
		t.Fatalf("%v in\n%s", problems, a.File.Text)
	}
	peer := target.Status().Peers[2]
	if file.Interface.PrivateKey.Public() != peer.PublicKey || peer.Name != "B" || len(peer.AllowedIPs) != 2 || peer.AllowedIPs[0].String() != "10.0.0.7/32" {
		t.Errorf("the file has the public key %s, and the peer is %+v", file.Interface.PrivateKey.Public(), peer)
	}
	if p := file.Peers[0]; p.PublicKey != target.Status().PublicKey || p.Endpoint.String() != "vpn.example.org:51820" || p.AllowedIPs[0].String() != "10.0.0.0/24" {
		t.Errorf("the peer of the file: %+v", p)
	}
	if a.File.QR.Size < 21 || !strings.HasPrefix(a.File.QR.Path, "M0 0h7v1h-7z") { // the finder pattern
		t.Errorf("QR code: %+v", a.File.QR)
	}
	if b := send(t, h, strings.Replace(form, `"B"`, `"C"`, 1)); b.File.Text == a.File.Text {
		t.Error("two new peers have the same key")
	}
	target.Refuse(errors.New("no"))
	if b := send(t, h, strings.Replace(form, `"B"`, `"D"`, 1)); b.File != nil || b.Done {
		t.Errorf("the daemon has refused, and there is a file: %+v", b)
	}
}

// TestFixed proves that an interface that this process may not change says so.
func TestFixed(t *testing.T) {
	controltest.UseTempDir(t, &control.Dir)
	target, _ := serve(t, "wg0", 1)
	target.Refuse(errors.New("you may only look"))
	h, _ := newHandler()
	event, _ := open(t, h, "")()
	if event.Interfaces[0].Fixed != "you may only look" {
		t.Errorf("%+v", event.Interfaces[0])
	}
}

func TestFreeAddress(t *testing.T) {
	status := conf.Status{Peers: []conf.PeerStatus{{PublicKey: key.Public{1}}}}
	for _, c := range []struct{ network, taken, want string }{
		{"10.0.0.1/24", "", "10.0.0.2/32"},
		{"10.0.0.9/24", "", "10.0.0.1/32"},
		{"10.0.0.1/24", "10.0.0.2/32 10.0.0.3/32 10.0.0.5/32", "10.0.0.4/32"},
		{"10.0.0.1/24", "10.0.0.0/25", "10.0.0.128/32"},
		{"10.0.0.1/24", "0.0.0.0/0", "10.0.0.2/32"}, // of a peer that is the way to everything
		{"10.0.0.1/30", "10.0.0.2/32", ""},          // the other one is for broadcasts
		{"10.0.0.1/32", "", ""},
		{"fd00::1/64", "fd00::2/128", "fd00::3/128"},
		{"fd00::1/127", "", ""},
	} {
		var taken []netip.Prefix
		for _, p := range strings.Fields(c.taken) {
			taken = append(taken, netip.MustParsePrefix(p))
		}
		status.Peers[0].AllowedIPs = taken
		if got := freeAddress(&status, []netip.Prefix{netip.MustParsePrefix(c.network)}); got != c.want {
			t.Errorf("%s without %s: %q, want %q", c.network, c.taken, got, c.want)
		}
	}
}
