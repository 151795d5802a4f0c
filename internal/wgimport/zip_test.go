package wgimport

import (
	"archive/zip"
	"bytes"
	"runtime"
	"strings"
	"testing"
)

const quickFile = "[Interface]\nPrivateKey = yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk=\n[Peer]\nPublicKey = " + somePeer + "\nAllowedIPs = ::/0\n"

type zipEntry struct{ name, text string }

func entryOf(name, text string) zipEntry { return zipEntry{name, text} }

func archive(t testing.TB, entries ...zipEntry) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, e := range entries {
		f, err := w.Create(e.name)
		if err == nil {
			_, err = f.Write([]byte(e.text))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func importZip(t *testing.T, entries ...zipEntry) string {
	t.Helper()
	return print(t, Import([]Source{{"provider.zip", archive(t, entries...)}}))
}

// Each file in a zip file becomes a tunnel with a name of its own; the folders
// that stand before it do not matter, wherever they lead (zip slip).
func TestZip(t *testing.T) {
	got := importZip(t, entryOf("se/", ""), entryOf("se/se-sto-wg-001.conf", quickFile), entryOf("../../../etc/cron.d/se-sto-wg-001.conf", quickFile),
		entryOf(`C:\temp\wg0.conf`, quickFile), entryOf("/etc/passwd.conf", quickFile), entryOf("Provider (New York) 1.conf", quickFile),
		entryOf("readme.txt", "hello"), entryOf("__MACOSX/._wg0.conf", "x"), entryOf("inner.conf", string(archive(t))), entryOf("bad\nname.conf", "x\x00"))
	for _, want := range []string{
		"--- se-sto-wg-001.conf, peers: 1\n", "--- se-sto-wg-001-2.conf", "--- wg0.conf", "--- passwd.conf", "--- Provider--New-Y.conf",
		"changed provider.zip/../../../etc/cron.d/se-sto-wg-001.conf: the interface is called se-sto-wg-001-2",
		"lost    provider.zip/readme.txt: not carried over: files that do not end in",
		"refused provider.zip/inner.conf: not imported: a zip file within a zip file",
		"refused provider.zip/bad?name.conf: not imported: this is no text",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	if strings.Contains(got, "MACOSX") {
		t.Error(got)
	}
}

// A zip file gives no more than the limits, whatever it unpacks to.
func TestZipLimits(t *testing.T) {
	bomb := strings.Repeat("x", maxEntry+1)
	if got := importZip(t, entryOf("a.conf", bomb), entryOf("b.conf", quickFile)); !strings.Contains(got, "refused provider.zip/a.conf: not imported: it is too large") || !strings.Contains(got, "--- b.conf") {
		t.Error(got)
	}
	huge := archive(t, entryOf("a.conf", strings.Repeat("\n", 64*maxEntry)))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	Import([]Source{{"x.zip", huge}})
	runtime.ReadMemStats(&after)
	if used := after.TotalAlloc - before.TotalAlloc; used > 16*maxEntry {
		t.Errorf("a file of %d bytes takes %d bytes of memory", 64*maxEntry, used)
	}
	var many []zipEntry
	for range maxTotal/maxEntry + 1 {
		many = append(many, entryOf("a.conf", bomb[:maxEntry]))
	}
	if got := importZip(t, many...); strings.Count(got, "altogether") != 1 {
		t.Error(got)
	}
	many = nil
	for range maxEntries + 1 {
		many = append(many, entryOf("a.conf", ""))
	}
	if got := importZip(t, many...); strings.Count(got, "refused") != 1 || !strings.Contains(got, "10001 files") {
		t.Error(got)
	}
}

// A zip file that is cut off, and an entry that is encrypted, are refused.
func TestZipDamaged(t *testing.T) {
	whole := archive(t, entryOf("a.conf", quickFile))
	if got := print(t, Import([]Source{{"x.zip", whole[:len(whole)/2]}})); !strings.Contains(got, "refused x.zip: not imported: a damaged zip file") {
		t.Error(got)
	}
	encrypted := bytes.Clone(whole)
	at := bytes.Index(encrypted, []byte("PK\x01\x02"))
	encrypted[at+8] |= 1
	if got := print(t, Import([]Source{{"x.zip", encrypted}})); !strings.Contains(got, "it is encrypted") {
		t.Error(got)
	}
}
