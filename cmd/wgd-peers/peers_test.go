package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"rsc.io/qr"

	"wgd/internal/cli"
	"wgd/internal/cli/clitest"
	"wgd/internal/wgconf"
	"wgd/key"
)

// A shell runs commands on one store.
type shell struct {
	t    *testing.T
	path string // of the store
}

func newShell(t *testing.T) shell { return shell{t, filepath.Join(t.TempDir(), "peers.db")} }

// run runs a command and returns what it prints and its exit status.
func (s shell) run(stdin string, args ...string) (stdout, stderr string, status int) {
	s.t.Helper()
	var out, complaints strings.Builder
	status = cli.Run(command(), append([]string{"--store=" + s.path}, args...), strings.NewReader(stdin), &out, &complaints)
	return out.String(), complaints.String(), status
}

// ok runs a command that must work without complaints.
func (s shell) ok(args ...string) string {
	s.t.Helper()
	out, complaints, status := s.run("", args...)
	if status != 0 || complaints != "" {
		s.t.Fatalf("wgd-peers %s: exit status %d: %s", strings.Join(args, " "), status, complaints)
	}
	return out
}

// fails runs a command that must fail, with a text in its complaints.
func (s shell) fails(status int, want string, args ...string) {
	s.t.Helper()
	if out, complaints, got := s.run("", args...); got != status || !strings.Contains(complaints, want) || out != "" {
		s.t.Errorf("wgd-peers %s: exit status %d, want %d with %q: %s%s", strings.Join(args, " "), got, status, want, complaints, out)
	}
}

// publicKey returns the public key of a private one with this second byte.
func publicKey(second byte) string {
	return key.NewPrivate(&[32]byte{1: second}).Public().Base64()
}

// gateway sets the gateway of a store.
func (s shell) gateway() {
	s.ok("gateway", "--public-key="+publicKey(8), "--endpoint=vpn.example.org:51820", "--addresses=10.2.0.1/16,fd00:2::1/64", "--dns=10.2.0.1,corp.example", "--persistent-keepalive=25")
}

// The table is complete.
func TestTable(t *testing.T) {
	if err := cli.Check(command()); err != nil {
		t.Error(err)
	}
}

// No command repeats a key that stands where something else belongs.
func TestNoKeyRepeated(t *testing.T) {
	s := newShell(t)
	s.ok("add", "alice", "--public-key="+publicKey(1), "--allowed-ips=10.2.0.2/32")
	t.Chdir(t.TempDir())
	for _, form := range command().Forms {
		if form.Syntax == watchForm.Syntax {
			continue // it does not end
		}
		c := command()
		c.Forms = []cli.Form{form}
		clitest.NoKeyRepeated(t, c, func(args ...string) string {
			out, complaints, _ := s.run("", args...)
			return out + complaints
		})
	}
}

// A peer that is added gets its addresses, and its file is one that wgd reads; its private
// key is not stored.
func TestAdd(t *testing.T) {
	s := newShell(t)
	s.fails(1, "the public key and the endpoint of the gateway", "add", "alice")
	s.gateway()
	text := s.ok("add", "alice")
	file, problems := wgconf.Parse([]byte(text)).Decode(wgconf.Env{})
	if len(problems) > 0 {
		t.Fatalf("%v in\n%s", problems, text)
	}
	network := file.Interface.Network
	if got := joinAll(network.Addresses); got != "10.2.0.2/32 fd00:2::2/128" || len(network.DNS.Servers) != 1 || len(network.DNS.Search) != 1 {
		t.Errorf("the client has the addresses %s and DNS %v", got, network.DNS)
	}
	gateway := file.Peers[0]
	if gateway.PublicKey.Base64() != publicKey(8) || gateway.Endpoint.String() != "vpn.example.org:51820" || gateway.PersistentKeepalive != 25 || gateway.PresharedKey.IsZero() ||
		joinAll(gateway.AllowedIPs) != "10.2.0.0/16 fd00:2::/64" {
		t.Errorf("the gateway of the client is %+v", gateway)
	}
	private := file.Interface.PrivateKey
	if listed := s.ok("list"); !strings.Contains(listed, private.Public().Base64()+" 10.2.0.2/32,fd00:2::2/128: never seen") {
		t.Errorf("the list is\n%s", listed)
	}
	exported := s.ok("export")
	if !strings.Contains(exported, gateway.PresharedKey.Base64()) || strings.Contains(exported, private.Base64()) {
		t.Error("the export lacks the preshared key, or has the private one")
	}
	s.fails(1, "another peer with this name", "add", "alice")
	s.fails(1, "is not allowed in a name", "add", "a b")
	s.fails(1, "peer alice has it", "add", "bob", "--allowed-ips=10.2.0.2/32", "--public-key="+publicKey(2))
	s.fails(1, "all addresses are taken", "add", "bob", "--network=10.2.0.2/32")
	s.ok("add", "carol", "--public-key="+publicKey(3))
	if text := s.ok("add", "dave", "--allowed-ips=10.9.0.0/24", "--no-preshared-key"); strings.Contains(text, "PresharedKey") || !strings.Contains(text, "Address = 10.9.0.0/24\n") {
		t.Errorf("without a preshared key:\n%s", text)
	}
}

// In JSON, the file is beside the peer, whose preshared key is not repeated.
func TestAddPrintsJSON(t *testing.T) {
	s := newShell(t)
	s.gateway()
	var added struct {
		Peer map[string]any
		File string
	}
	if err := json.Unmarshal([]byte(s.ok("add", "alice", "--json")), &added); err != nil {
		t.Fatal(err)
	}
	_, shown := added.Peer["preshared_key"]
	if added.Peer["name"] != "alice" || added.Peer["has_preshared_key"] != true || shown || !strings.HasPrefix(added.File, "[Interface]\nPrivateKey = ") {
		t.Errorf("%+v", added)
	}
}

// With -o, the file is written for its owner only, and nothing is added if it exists.
func TestAddToFile(t *testing.T) {
	s := newShell(t)
	s.gateway()
	path := filepath.Join(t.TempDir(), "alice.conf")
	if out := s.ok("add", "alice", "-o", path); out != "" {
		t.Errorf("it printed %s", out)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 || info.Size() == 0 {
		t.Errorf("%v, %v", info, err)
	}
	s.fails(1, "the file exists", "add", "bob", "-o", path)
	s.fails(1, "the store has no such peer", "list", "bob")
	s.fails(1, "another peer with this name", "add", "alice", "-o", path+"2")
	if _, err := os.Stat(path + "2"); err == nil {
		t.Error("the file of a peer that was not added is left")
	}
}

// A peer whose file cannot be printed is removed again.
func TestAddCannotPrint(t *testing.T) {
	s := newShell(t)
	s.gateway()
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer full.Close()
	var complaints strings.Builder
	status := cli.Run(command(), []string{"--store=" + s.path, "add", "alice"}, strings.NewReader(""), full, &complaints)
	if status != 1 || !strings.Contains(complaints.String(), "the peer was removed again") {
		t.Errorf("exit status %d: %s", status, &complaints)
	}
	s.fails(1, "the store has no such peer", "list", "alice")
}

// The QR code on standard error shows the file.
func TestQR(t *testing.T) {
	s := newShell(t)
	s.gateway()
	text, picture, status := s.run("", "add", "alice", "--qr")
	if status != 0 {
		t.Fatal(picture)
	}
	code, err := qr.Encode(text, qr.L)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSuffix(regexp.MustCompile("\x1b\\[[0-9;]*m").ReplaceAllString(picture, ""), "\n"), "\n")
	for y := range 2 * len(lines) {
		line := []rune(lines[y/2])
		for x, r := range line {
			black := r == '█' || y%2 == 0 && r == '▀' || y%2 == 1 && r == '▄'
			if black != code.Black(x-quiet, y-quiet) {
				t.Fatalf("module %d,%d is wrong in\n%s", x, y, picture)
			}
		}
		if len(line) != code.Size+2*quiet || 2*len(lines) < code.Size+2*quiet {
			t.Fatalf("%d by %d modules, want %d", len(line), 2*len(lines), code.Size+2*quiet)
		}
	}
}

// A change keeps what it does not name; revoking and restoring can be seen.
func TestSet(t *testing.T) {
	s := newShell(t)
	s.ok("add", "alice", "--public-key="+publicKey(1), "--allowed-ips=10.2.0.2/32,fd00::/64", "--endpoint=192.0.2.1:7")
	s.ok("set", "alice", "--rename=bob", "--persistent-keepalive=25")
	details := s.ok("list", "bob")
	for _, line := range []string{"peer: bob\n", "\tstate: never seen\n", "\tpreshared-key: (none)\n", "\tallowed-ips: 10.2.0.2/32,fd00::/64\n", "\tendpoint: 192.0.2.1:7\n", "\tpersistent-keepalive: 25\n"} {
		if !strings.Contains(details, line) {
			t.Errorf("there is no line %q in\n%s", line, details)
		}
	}
	s.ok("set", publicKey(1), "--revoke", "--endpoint=", "--allowed-ips=", "--persistent-keepalive=off")
	details = s.ok("list", "bob")
	for _, line := range []string{"\tstate: revoked just now\n", "\tallowed-ips: (none)\n", "\tendpoint: (none)\n", "\tpersistent-keepalive: off\n"} {
		if !strings.Contains(details, line) {
			t.Errorf("there is no line %q in\n%s", line, details)
		}
	}
	psk := filepath.Join(t.TempDir(), "psk")
	if err := os.WriteFile(psk, []byte(publicKey(9)+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var peer struct {
		Revoked         *int64
		HasPresharedKey bool    `json:"has_preshared_key"`
		PresharedKey    *string `json:"preshared_key"`
	}
	if err := json.Unmarshal([]byte(s.ok("set", "bob", "--restore", "--preshared-key="+psk, "--json")), &peer); err != nil || peer.Revoked != nil || !peer.HasPresharedKey || peer.PresharedKey != nil {
		t.Errorf("%+v, %v", peer, err)
	}
	s.fails(2, "there is nothing to change", "set", "bob")
	s.fails(2, "exclude each other", "set", "bob", "--revoke", "--restore")
	s.fails(1, "no such peer", "set", "alice", "--revoke")
	s.fails(1, "write HOST:PORT", "set", "bob", "--endpoint=host")
	s.fails(1, "65535 seconds", "set", "bob", "--persistent-keepalive=70000")
	s.ok("delete", "bob")
	s.fails(1, "no such peer", "delete", "bob")
	s.fails(1, "no peer with this public key", "delete", publicKey(1))
}

// A peer is found by its name, key, address and endpoint.
func TestList(t *testing.T) {
	s := newShell(t)
	s.fails(1, "there is no store", "list")
	s.ok("add", "alice", "--public-key="+publicKey(1), "--allowed-ips=10.2.0.0/24", "--endpoint=192.0.2.1:7")
	s.ok("add", "bob", "--public-key="+publicKey(2), "--allowed-ips=10.2.0.9/32")
	for word, want := range map[string]string{"alice": "alice", publicKey(2): "bob", "10.2.0.8": "alice", "10.2.0.9": "bob", "192.0.2.1:7": "alice"} {
		if got, _, _ := strings.Cut(s.ok("list", word), "\n"); got != "peer: "+want {
			t.Errorf("%s leads to %s, want %s", word, got, want)
		}
	}
	s.fails(1, "10.3.0.1: no peer of the store has this address", "list", "10.3.0.1")
	s.fails(1, "192.0.2.1:8: no peer", "list", "192.0.2.1:8")
	var peers []struct{ Name string }
	if err := json.Unmarshal([]byte(s.ok("list", "--json")), &peers); err != nil || len(peers) != 2 || peers[1].Name != "bob" {
		t.Errorf("%v, %v", peers, err)
	}
	if err := json.Unmarshal([]byte(s.ok("list", "alice", "--json")), &peers); err != nil || len(peers) != 1 {
		t.Errorf("%v, %v", peers, err)
	}
}

// The gateway is shown as it was set, and an empty value removes a part.
func TestGateway(t *testing.T) {
	s := newShell(t)
	s.gateway()
	s.ok("gateway", "--dns=", "--client-allowed-ips=0.0.0.0/0,::/0")
	want := "public-key: " + publicKey(8) + "\nendpoint: vpn.example.org:51820\naddresses: 10.2.0.1/16,fd00:2::1/64\n" +
		"client-allowed-ips: 0.0.0.0/0,::/0\ndns: (none)\npersistent-keepalive: 25\n"
	if got := s.ok("gateway"); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	if text := s.ok("add", "alice"); !strings.Contains(text, "AllowedIPs = 0.0.0.0/0, ::/0\n") || strings.Contains(text, "DNS") {
		t.Errorf("the file of a client is\n%s", text)
	}
	s.fails(1, "dns a b/c", "gateway", "--dns=a b/c")
	s.fails(1, "public key: 1 characters", "gateway", "--public-key=x")
	s.fails(1, "write IP/CIDR", "gateway", "--addresses=10.2.0.1")
}

// What is exported in CSV and JSON is imported with everything; conf lacks revoked peers.
func TestExportAndImport(t *testing.T) {
	s := newShell(t)
	s.gateway()
	s.ok("add", "alice")
	s.ok("add", "bob", "--endpoint=192.0.2.1:7", "--persistent-keepalive=5")
	s.ok("set", "bob", "--revoke")
	if _, complaints, status := s.run("name,public_key,last_endpoint,last_seen,stamp,rx_bytes,tx_bytes,allowed_ips\n"+
		","+publicKey(3)+",192.0.2.3:3,1700000000,400000006553f10a00000000,5,6,10.7.0.0/24;10.7.1.0/24\n", "import", "-"); status != 0 || complaints != "" {
		t.Fatal(complaints)
	}
	for _, format := range []string{"csv", "json"} {
		exported := s.ok("export", "--format="+format)
		other := newShell(t)
		out, complaints, status := other.run(exported, "import", "-")
		if status != 0 || complaints != "" || out != "added: 3, replaced: 0, skipped: 0\n" {
			t.Fatalf("%s: exit status %d: %s%s", format, status, out, complaints)
		}
		changed := regexp.MustCompile(`"changed":\d+`)
		if again := other.ok("export", "--format="+format); changed.ReplaceAllString(again, "") != changed.ReplaceAllString(exported, "") {
			t.Errorf("got\n%swant\n%s", again, exported)
		}
		if out, _, _ := other.run(exported, "import", "-", "--replace"); out != "added: 0, replaced: 3, skipped: 0\n" {
			t.Errorf("a second time, replacing: %s", out)
		}
		if out, complaints, _ := other.run(exported, "import", "-"); out != "added: 0, replaced: 0, skipped: 3\n" || strings.Count(complaints, "public key already") != 3 || !strings.Contains(complaints, "peer alice:") {
			t.Errorf("a second time: %s%s", out, complaints)
		}
	}
	text, complaints, status := s.run("", "export", "--format=conf")
	if status != 0 || strings.Count(text, "[Peer]") != 2 || !strings.Contains(complaints, "left out: peer bob: it is revoked") {
		t.Errorf("conf: exit status %d: %s\n%s", status, complaints, text)
	}
	other := newShell(t)
	if out, complaints, _ := other.run(text, "import", "-"); out != "added: 2, replaced: 0, skipped: 0\n" || complaints != "" {
		t.Errorf("conf: %s%s", out, complaints)
	}
	if again := other.ok("export", "--format=conf"); again != text {
		t.Errorf("got\n%swant\n%s", again, text)
	}
	s.fails(2, "give csv, json or conf", "export", "--format=xml")
}

// A folder of clients' files becomes their peers, named like the files. What is skipped has
// a line with a reason, and a dry run changes nothing.
func TestImportFolder(t *testing.T) {
	s, dir := newShell(t), t.TempDir()
	s.gateway()
	s.ok("add", "alice", "-o", filepath.Join(dir, "alice.conf"))
	s.ok("add", "bob", "-o", filepath.Join(dir, "bob.conf"))
	if err := os.WriteFile(filepath.Join(dir, "empty.conf"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	other := newShell(t)
	if out, _, status := other.run("", "import", "--dry-run", dir); status != 0 || out != "would be added or replaced: 2, skipped: 1\n" {
		t.Errorf("a dry run: exit status %d: %s", status, out)
	}
	if out := other.ok("list"); out != "" {
		t.Errorf("a dry run added\n%s", out)
	}
	out, complaints, status := other.run("", "import", dir)
	if status != 0 || out != "added: 2, replaced: 0, skipped: 1\n" || complaints != "wgd-peers: skipped: "+filepath.Join(dir, "empty.conf")+": the file is empty\n" {
		t.Errorf("exit status %d: %s%s", status, out, complaints)
	}
	if got, want := other.ok("export", "--format=conf"), s.ok("export", "--format=conf"); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	s.fails(1, "no such file", "import", filepath.Join(dir, "none"))
	s.fails(1, "no files whose names end with .conf", "import", t.TempDir())
	var result struct {
		Added   int
		Skipped []struct{ File, Text string }
	}
	if err := json.Unmarshal([]byte(other.ok("import", "--json", dir)), &result); err != nil || result.Added != 0 || len(result.Skipped) != 3 {
		t.Errorf("%+v, %v", result, err)
	}
}

// The summary counts, and names what cannot be used.
func TestStatus(t *testing.T) {
	s := newShell(t)
	s.ok("add", "alice", "--public-key="+publicKey(1), "--allowed-ips=10.2.0.2/32")
	s.ok("set", "alice", "--revoke")
	want := "store: " + s.path + "\nrevision: 3\npeers: 1\nrevoked: 1\nseen: 0\n"
	if got := s.ok("status"); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	var sum struct {
		Peers    int
		Problems []any
	}
	if err := json.Unmarshal([]byte(s.ok("status", "--json")), &sum); err != nil || sum.Peers != 1 || sum.Problems == nil {
		t.Errorf("%+v, %v", sum, err)
	}
}

// Stores of unknown kinds are refused by name; a URL may name a file.
func TestStores(t *testing.T) {
	s := newShell(t)
	s.ok("add", "alice", "--public-key="+publicKey(1), "--allowed-ips=10.2.0.2/32")
	for _, url := range []string{"file:" + s.path, "file://" + s.path} {
		if out := (shell{t, url}).ok("list"); !strings.HasPrefix(out, "alice ") {
			t.Errorf("%s: %s", url, out)
		}
	}
	shell{t, "redis://localhost"}.fails(1, "store redis://localhost: there is no such kind of store", "list")
	shell{t, ""}.fails(1, "--store is empty", "list")
}

func joinAll[T interface{ String() string }](list []T) string {
	var texts []string
	for _, x := range list {
		texts = append(texts, x.String())
	}
	slices.Sort(texts)
	return strings.Join(texts, " ")
}

// Options that contradict each other, name a thing twice, or would have no effect are refused,
// and nothing is added.
func TestOptionsOfAdd(t *testing.T) {
	s := newShell(t)
	own := "--public-key=" + publicKey(1)
	empty := filepath.Join(t.TempDir(), "empty")
	if err := os.WriteFile(empty, []byte("\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for want, args := range map[string][]string{
		"network: 10.2.0.0/16 is there twice":                     {own, "--network=10.2.0.1/16,10.2.0.2/16"},
		"with --public-key there is no file of the client":        {own, "--allowed-ips=10.2.0.2/32", "--output=" + filepath.Join(t.TempDir(), "x.conf")},
		"leave --output and --qr out":                             {own, "--allowed-ips=10.2.0.2/32", "--qr"},
		"give --preshared-key or --no-preshared-key, not both":    {own, "--allowed-ips=10.2.0.2/32", "--preshared-key=/dev/null", "--no-preshared-key"},
		empty + ": the file is empty: write a preshared key into": {own, "--allowed-ips=10.2.0.2/32", "--preshared-key=" + empty},
	} {
		s.fails(1, want, append([]string{"add", "alice"}, args...)...)
	}
	s.fails(1, "addresses: 10.2.0.1/16 is there twice", "gateway", "--addresses=10.2.0.1/16,10.2.0.1/16")
	s.fails(1, "client-allowed-ips: 10.0.0.0/8 is there twice", "gateway", "--client-allowed-ips=10.0.0.0/8,10.1.0.0/8")
	s.ok("add", "alice", own, "--allowed-ips=10.2.0.2/32", "--preshared-key=/dev/null")
	if out := s.ok("list"); strings.Count(out, "\n") != 1 {
		t.Errorf("the list is\n%s", out)
	}
	if err := os.Chmod(s.path, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, complaints, _ := s.run("", "list"); !strings.Contains(complaints, "peers.db: others may read the preshared keys in this store: make it private with chmod 600") {
		t.Errorf("of a store that others may read, it says %q", complaints)
	}
}
