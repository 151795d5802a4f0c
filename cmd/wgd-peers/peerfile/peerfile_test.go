package peerfile

import (
	"fmt"
	"io"
	"iter"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"wgd/cmd/wgd-peers/store"
	"wgd/internal/wire"
	"wgd/key"
)

func keyOf(n byte) key.Public { return key.NewPrivate(&[32]byte{1: n}).Public() }

// read reads a file, and returns its peers, what was skipped, and the error.
func read(name, text string) (peers []*store.Peer, notes []string, err error) {
	for p, e := range Read(name, strings.NewReader(text), func(n Note) { notes = append(notes, n.String()) }) {
		if e != nil {
			return peers, notes, e
		}
		peers = append(peers, p)
	}
	return peers, notes, nil
}

// describe returns what a file configures of a peer.
func describe(p *store.Peer) string {
	return fmt.Sprintf("%s %s %v %s %d psk:%v", p.Name, p.PublicKey.Hex()[:8], p.AllowedIPs, p.Endpoint, p.PersistentKeepalive, !p.PresharedKey.IsZero())
}

// Files of all kinds are read, and every peer that is skipped has a line with its reason.
func TestRead(t *testing.T) {
	k1, k2, hex1, hex2 := keyOf(1).Base64(), keyOf(2).Base64(), keyOf(1).Hex()[:8], keyOf(2).Hex()[:8]
	private := key.NewPrivate(&[32]byte{1: 1}).Base64()
	client := "[Interface]\nPrivateKey = " + private + "\nAddress = 10.0.0.2/24, fd00::2\nDNS = 10.0.0.1\nPostUp = echo\n\n[Peer]\nPublicKey = " + k2 + "\nPresharedKey = " + k2 + "\nAllowedIPs = 0.0.0.0/0\nEndpoint = vpn.example:51820\nPersistentKeepalive = 25\n"
	for name, c := range map[string]struct {
		file, text string
		peers      []string
		notes      []string
		err        string
	}{
		"CSV": {"a.csv", "\ufeffPublic_Key, name ,allowed_ips,persistent_keepalive\n" + k1 + ",alice,\"10.0.0.1, fd00::/64\",25\nx,bob,,\n" + k2 + ",carol,10.0.0.0/33,\n" + k2 + ",dave\n" + k2 + ",,,70000\n",
			[]string{"alice " + hex1 + " [10.0.0.1/32 fd00::/64]  25 psk:false"},
			[]string{"a.csv:3: peer bob: public key: 1 characters: write the 32 bytes as 44 characters of base64", "a.csv:4: peer carol: allowed_ips 10.0.0.0/33: write ADDRESS/LENGTH",
				"a.csv:5: 2 fields, and 4 columns: write a comma between all of them", "a.csv:6: peer " + hex2 + ": persistent_keepalive 70000: write a number up to 65535"}, ""},
		"an unknown column":   {"a.csv", "public_key,ip\n", nil, nil, "a.csv:1: there is no column ip: the columns are name, public_key"},
		"a column twice":      {"a.csv", "public_key,name,name\n", nil, nil, "the column name is there twice"},
		"a quote without end": {"a.csv", "public_key,name\n" + k1 + ",alice\n\"x\n", []string{"alice " + hex1 + " []  0 psk:false"}, nil, "a.csv:3: "},
		"JSON lines": {"a.json", `{"name":"alice","public_key":"` + k1 + `"}` + "\n" + `{"name":"bob","public_key":"` + k2 + `","has_preshared_key":true}` + "\n" + `{"name":"carol","public_key":7}`,
			[]string{"alice " + hex1 + " []  0 psk:false"},
			[]string{"a.json: peer bob: it has a preshared key, which is not in this file: import what wgd-peers export wrote", "a.json: peer carol: object 3: the field public_key is wrong"}, ""},
		"a JSON list that is cut":            {"a.json", "[\n{\"name\":\"alice\",\"public_key\":\"" + k1 + "\"},\n{\"na", []string{"alice " + hex1 + " []  0 psk:false"}, nil, "a.json: object 2: this is not JSON"},
		"a JSON list without end":            {"a.json", "[{\"public_key\":\"" + k1 + "\"}", []string{" " + hex1 + " []  0 psk:false"}, nil, "a.json: "},
		"two JSON lists":                     {"a.json", "[{\"public_key\":\"" + k1 + "\"}]\n[{\"public_key\":\"" + k2 + "\"}]", []string{" " + hex1 + " []  0 psk:false"}, nil, "a.json: after the last object"},
		"a brace too many":                   {"a.json", "{\"public_key\":\"" + k1 + "\"}}\n{\"public_key\":\"" + k2 + "\"}", []string{" " + hex1 + " []  0 psk:false"}, nil, "a.json: after the last object"},
		"a JSON list with a byte order mark": {"a.json", "\ufeff[{\"public_key\":\"" + k1 + "\"}]", []string{" " + hex1 + " []  0 psk:false"}, nil, ""},
		"JSON lines with a byte order mark":  {"a.json", "\ufeff{\"public_key\":\"" + k1 + "\"}\n", []string{" " + hex1 + " []  0 psk:false"}, nil, ""},
		"a gateway with a byte order mark":   {"wg0.conf", "\ufeff[Peer]\nPublicKey = " + k1 + "\n", []string{" " + hex1 + " []  0 psk:false"}, nil, ""},
		"an empty JSON list":                 {"a.json", "[ ]", nil, nil, ""},
		"a gateway": {"wg0.conf", "# a comment\n[Interface]\nListenPort = 1\nPrivateKey = " + private + "\n\n[Peer]\n# Name = alice\nPublicKey = " + k1 + "\nAllowedIPs = 10.0.0.1/32\nEndpoint = 192.0.2.1:7\n[Peer]\nPublicKey = bad\n\n [peer]\nPublicKey=" + k2 + "\nPresharedKey=" + k2 + "\nAllowedIPs=10.0.0.2/32\n[Peer]\nPublicKey=" + k2 + "\nPresharedKeyFile=/etc/psk\n",
			[]string{"alice " + hex1 + " [10.0.0.1/32] 192.0.2.1:7 0 psk:false", " " + hex2 + " [10.0.0.2/32]  0 psk:true"},
			[]string{"wg0.conf:12: PublicKey: public key: 3 characters: write the 32 bytes as 44 characters of base64", "wg0.conf:18: peer " + hex2 + ": PresharedKeyFile: the store needs the key itself: write PresharedKey"}, ""},
		"a client":                {"dir/bob.conf", client, []string{"bob " + hex1 + " [10.0.0.2/32 fd00::2/128]  0 psk:true"}, nil, ""},
		"a client with a port":    {"bob.conf", strings.Replace(client, "DNS =", "ListenPort = 7\nDNS =", 1), []string{" " + hex2 + " [0.0.0.0/0] vpn.example:51820 25 psk:true"}, nil, ""},
		"a client without a name": {"dir/a b.conf", client, nil, []string{"dir/a b.conf: the name of the file becomes that of the peer: rename it, with 1 to 63 letters, digits and ._@- before .conf"}, ""},
		"a client with a key file": {"bob.conf", strings.Replace(client, "PrivateKey = "+private, "PrivateKeyFile = /etc/k", 1), nil,
			[]string{"bob.conf:1: peer bob: PrivateKeyFile: the public key is not known: write PrivateKey"}, ""},
		"a client with a wrong address": {"bob.conf", strings.Replace(client, "10.0.0.2/24", "10.0.0", 1), nil, []string{"bob.conf:3: Address 10.0.0: write ADDRESS/LENGTH: 10.2.0.1/24 or fd00:2::1/64, for example"}, ""},
		"an empty file":                 {"a", " \n", nil, []string{"a: the file is empty"}, ""},
		"another file":                  {"a", "hello\n", nil, []string{"a: this is neither CSV, JSON nor a configuration file: the first line of CSV has the names of the columns, public_key among them"}, ""},
		"an endless section":            {"a", "[Peer]\n" + strings.Repeat("# x\n", maxSection/4+1), nil, nil, "a section is longer than"},
		"an endless line":               {"a", "[Peer]\n" + strings.Repeat("x", maxSection+1), nil, nil, "a section is longer than"},
	} {
		peers, notes, err := read(c.file, c.text)
		var got []string
		for _, p := range peers {
			got = append(got, describe(p))
		}
		if !slices.Equal(got, c.peers) || !slices.Equal(notes, c.notes) {
			t.Errorf("%s: got %q and skipped %q, want %q and %q", name, got, notes, c.peers, c.notes)
		}
		if (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%s: %v, want %q", name, err, c.err)
		}
	}
}

// samples are two peers, with everything and with nothing.
func samples() iter.Seq2[*store.Peer, error] {
	full := &store.Peer{
		Name: "alice", PublicKey: keyOf(1), PresharedKey: key.NewPreshared(&[32]byte{5}), Endpoint: "vpn.example:51820", PersistentKeepalive: 25,
		AllowedIPs: []netip.Prefix{netip.MustParsePrefix("10.0.0.1/32"), netip.MustParsePrefix("fd00::/64")},
		Revoked:    time.Unix(1700000003, 0), Created: time.Unix(1700000001, 0), Changed: time.Unix(1700000002, 0),
		Seen: store.Seen{Endpoint: netip.MustParseAddrPort("[2001:db8::1]:7"), At: time.Unix(1700000004, 0), Stamp: wire.StampAt(time.Unix(1700000005, 0)), RxBytes: 1 << 50, TxBytes: 7},
	}
	return func(yield func(*store.Peer, error) bool) {
		_ = yield(full, nil) && yield(&store.Peer{PublicKey: keyOf(2)}, nil)
	}
}

// What is written is read as it was.
func TestRoundTrip(t *testing.T) {
	for name, write := range map[string]func(w io.Writer) error{
		"CSV":  func(w io.Writer) error { return WriteCSV(w, samples()) },
		"JSON": func(w io.Writer) error { return WriteJSON(w, samples(), true) },
	} {
		var text strings.Builder
		if err := write(&text); err != nil {
			t.Fatal(err)
		}
		peers, notes, err := read("-", text.String())
		if len(notes) > 0 || err != nil {
			t.Fatalf("%s: %q, %v", name, notes, err)
		}
		i := 0
		for want := range samples() {
			got := peers[i]
			if describe(got) != describe(want) || !got.PresharedKey.Equal(want.PresharedKey) || got.Seen != want.Seen || !got.Revoked.Equal(want.Revoked) || !got.Created.Equal(want.Created) {
				t.Errorf("%s: got %+v, want %+v", name, got, want)
			}
			i++
		}
		if i != len(peers) {
			t.Errorf("%s: %d peers, want %d", name, len(peers), i)
		}
	}
	var text strings.Builder
	if err := WriteJSON(&text, samples(), false); err != nil || strings.Contains(text.String(), `"preshared_key"`) {
		t.Errorf("without secrets: %v\n%s", err, &text)
	}
}

// FuzzRead: no input makes Read fail otherwise than with a sentence, a peer that it returns
// survives CSV and JSON, and no message has a key.
func FuzzRead(f *testing.F) {
	var csv, list strings.Builder
	if err := WriteCSV(&csv, samples()); err != nil {
		f.Fatal(err)
	}
	if err := WriteJSON(&list, samples(), true); err != nil {
		f.Fatal(err)
	}
	for _, text := range []string{"", csv.String(), list.String(), strings.TrimPrefix(list.String(), "["), "{}", "[", "[]", "[{\"revoked\":-1}]",
		"[Interface]\nPrivateKey=" + key.NewPrivate(&[32]byte{9}).Base64() + "\nAddress=10.0.0.1\n[Peer]\nPublicKey=" + keyOf(1).Base64() + "\nEndpoint=a:1\n",
		"[Peer]\nPublicKey=" + keyOf(1).Base64() + "\nAllowedIPs=10.0.0.0/8\n[Peer]\n[x]\n", "public_key,stamp,last_seen\n" + keyOf(1).Base64() + ",00,-1\n"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		peers, notes, err := read("a.conf", text)
		for _, n := range append(notes, fmt.Sprint(err)) {
			if strings.Contains(n, "\n") {
				t.Errorf("a message of several lines: %q", n)
			}
		}
		var usable []*store.Peer
		for _, p := range peers {
			if p.Check() == nil {
				usable = append(usable, p)
			}
		}
		if len(usable) == 0 {
			return
		}
		all := func(yield func(*store.Peer, error) bool) {
			for _, p := range usable {
				if !yield(p, nil) {
					return
				}
			}
		}
		var csv, list strings.Builder
		if err := WriteCSV(&csv, all); err != nil {
			t.Fatal(err)
		}
		if err := WriteJSON(&list, all, true); err != nil {
			t.Fatal(err)
		}
		for _, written := range []string{csv.String(), list.String()} {
			again, notes, err := read("-", written)
			if err != nil || len(notes) > 0 || len(again) != len(usable) {
				t.Fatalf("%d of %d peers are read again, %q, %v, from\n%s", len(again), len(usable), notes, err, written)
			}
			for i, p := range again {
				if describe(p) != describe(usable[i]) || p.Seen.Endpoint != usable[i].Seen.Endpoint || !p.Revoked.Equal(usable[i].Revoked) {
					t.Fatalf("got %+v, want %+v, from\n%s", p, usable[i], written)
				}
			}
		}
	})
}
