package wgimport

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Every source gives files without errors and messages of one line, whatever it
// holds. What the parser of a format makes of it has as many directives as
// wgconf reads: no value added one.
func fuzz(f *testing.F, pattern, name string) {
	files, err := filepath.Glob(filepath.Join("testdata", "samples", "*", pattern))
	if err != nil || len(files) == 0 {
		f.Fatal(files, err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		check(t, Import([]Source{{Name: name, Text: text}}))
	})
}

func FuzzKeyfile(f *testing.F) { fuzz(f, "*.nmconnection", "x.nmconnection") }
func FuzzQuick(f *testing.F)   { fuzz(f, "*.conf", "x.conf") }

// FuzzNetworkd reads both files of a tunnel.
func FuzzNetworkd(f *testing.F) {
	folders, err := filepath.Glob("testdata/samples/networkd-*")
	if err != nil || len(folders) == 0 {
		f.Fatal(folders, err)
	}
	for _, folder := range folders {
		var texts [2][]byte
		for i, ending := range []string{"*.netdev", "*.network"} {
			files, _ := filepath.Glob(filepath.Join(folder, ending))
			for _, file := range files {
				if texts[i], err = os.ReadFile(file); err != nil {
					f.Fatal(err)
				}
			}
		}
		f.Add(texts[0], texts[1])
	}
	f.Add([]byte("[NetDev]\nName=wg0\nKind=wireguard\n"), []byte("[Match]\nName=*\nH\x10st=x\n[RoutingPolicyRule]\nPri\x10rity=5\n"))
	f.Fuzz(func(t *testing.T, device, network []byte) {
		check(t, Import([]Source{{"x.netdev", device}, {"x.network", network}}))
	})
}

// FuzzZip reads damaged zip files, too.
func FuzzZip(f *testing.F) {
	f.Add(archive(f, entryOf("a/wg0.conf", quickFile), entryOf("../../etc/x.conf", quickFile), entryOf("readme.txt", "")))
	f.Add(archive(f))
	f.Fuzz(func(t *testing.T, raw []byte) {
		check(t, Import([]Source{{"x.zip", raw}}))
	})
}

// FuzzValue: whatever a value is, it becomes at most the directives that it was
// meant for, and no comment, section or hook.
func FuzzValue(f *testing.F) {
	for _, value := range []string{"10.0.0.1/24", "1.1.1.1;8.8.8.8", "x\\nPostUp = reboot", "1\\nPostUp=reboot", "a:5\\nPostUp=reboot", "::/0\\n[Peer]", "a:[", "1.1.1.1 # x", "a\\s[Peer]", "a.b\\r\\n[Peer]", "~x,y", "\u2028PostUp=x", "$CREDENTIALS_DIRECTORY/../x", "@a/b", "%i"} {
		f.Add(value)
	}
	keys := []string{
		"[connection]\ntype=wireguard\n[wireguard]\nfwmark=V\n", "[connection]\ntype=wireguard\n[wireguard]\nlisten-port=V\nmtu=V\n",
		"[connection]\ntype=wireguard\ninterface-name=V\nid=V\n[ipv4]\naddress1=V\ndns=V\ndns-search=V\nroute1=V\nroute1_options=V\nroute-table=V\n",
		"[connection]\ntype=wireguard\n[wireguard-peer." + somePeer + "]\nendpoint=V\nallowed-ips=V\npersistent-keepalive=V\n",
		"[NetDev]\nName=V\nKind=wireguard\n[WireGuard]\nPrivateKeyFile=V\nPrivateKey=V\nListenPort=V\nFirewallMark=V\nRouteTable=V\nRouteMetric=V\n" +
			"[WireGuardPeer]\nPublicKey=" + somePeer + "\nEndpoint=V\nAllowedIPs=V\nPersistentKeepalive=V\nPresharedKeyFile=V\n",
	}
	f.Fuzz(func(t *testing.T, value string) {
		if strings.ContainsAny(value, "\n\x00") {
			return
		}
		for _, k := range keys {
			r := Import([]Source{{"x", []byte(strings.ReplaceAll(k, "V", value))}})
			check(t, r)
			for _, tunnel := range r.Tunnels {
				text := string(tunnel.Document.Bytes())
				if strings.Contains(text, "#") || strings.Count(text, "\n[Peer]\n") > 1 {
					t.Fatalf("%q as a value gives\n%s", value, text)
				}
				for i, line := range strings.Split(text, "\n") {
					switch key, _, ok := strings.Cut(line, " = "); {
					case line == "" || line == "[Peer]" || i == 0 && line == "[Interface]":
					case !ok || strings.Trim(key, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz") != "" || key == "PostUp" && !ours(line):
						t.Fatalf("%q as a value gives the line %q", value, line)
					}
				}
			}
		}
	})
}

// ours reports whether a hook has only the words that hook makes.
func ours(line string) bool {
	return strings.HasPrefix(line, "PostUp = ip -") &&
		strings.Trim(line, "abcdefghijklmnopqrstuvwxyzPUADTEF0123456789.:/%=- \n") == "" && !strings.Contains(line, "reboot")
}
