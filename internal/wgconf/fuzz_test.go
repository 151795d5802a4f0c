package wgconf

import (
	"bytes"
	"net/netip"
	"slices"
	"strings"
	"testing"
)

// FuzzParse: no text panics; it comes back byte for byte; what is accepted is a
// valid Change, and written anew it means the same; no error repeats a key.
func FuzzParse(f *testing.F) {
	for _, text := range corpus() {
		f.Add(text)
	}
	f.Add("[Peer]\nPublicKey=" + publicA + "\nAllowedIPs=::/0,0.0.0.0/0\nExcludedIPs=10.0.0.0/8, fd00::/8\n")
	f.Add("[Interface]\nDNS=~.,a.b,::1%lo\nTable=0x10\nPrivateKeyFile=$CREDENTIALS_DIRECTORY/x\n#MSSClamp=off")
	f.Fuzz(func(t *testing.T, text string) {
		d := Parse([]byte(text))
		if got := string(d.Bytes()); got != text {
			t.Fatalf("%q became %q", text, got)
		}
		file, problems := d.Decode(Env{})
		if (file == nil) != problems.HasErrors() || (problems.Err("x") != nil) != problems.HasErrors() {
			t.Fatalf("%q: %v, %v", text, file, problems)
		}
		for _, p := range problems {
			if strings.ContainsAny(p.Text, "\n\r\x00") || p.Line < 0 || p.Line > strings.Count(text, "\n")+1 {
				t.Fatalf("%q: problem %q in line %d", text, p.Text, p.Line)
			}
		}
		if file == nil {
			return
		}
		if change := file.Change(); change.Validate() != nil {
			t.Fatalf("%q is accepted, and its change refused: %v", text, change.Validate())
		}
		fresh := Parse(nil)
		fresh.Update(&File{}, file)
		again, problems := fresh.Decode(Env{})
		if again == nil {
			t.Fatalf("%q written anew is %q, which is refused: %v", text, fresh.Bytes(), problems)
		}
		if got, want := summary(again), summary(file); got != want {
			t.Fatalf("%q written anew is %q\nand says\n%swant:\n%s", text, fresh.Bytes(), got, want)
		}
	})
}

// FuzzUpdate: one accepted text becomes what another one says, with edits only.
func FuzzUpdate(f *testing.F) {
	texts := corpus()
	for i, text := range texts {
		f.Add(text, texts[(i+1)%len(texts)])
		f.Add(text, expand(everything))
		f.Add(expand(everything), text)
	}
	f.Add("[Peer]\nPublicKey="+publicA+"\nAllowedIPs=10.0.0.0/8\nAllowedIPs=0.0.0.0/0\n", "[Peer]\nPublicKey="+publicA+"\nAllowedIPs=0.1.0.0/0,0.0.0.0/0\n")
	f.Fuzz(func(t *testing.T, before, after string) {
		d := Parse([]byte(before))
		from, _ := d.Decode(Env{})
		to, _ := Parse([]byte(after)).Decode(Env{})
		if from == nil || to == nil {
			return
		}
		d.Update(from, from)
		if got := string(d.Bytes()); got != before {
			t.Fatalf("%q without a change became %q", before, got)
		}
		d.Update(from, to)
		got, problems := d.Decode(Env{})
		if got == nil {
			t.Fatalf("%q, updated to say %q, is %q, which is refused: %v", before, after, d.Bytes(), problems)
		}
		if a, b := asSets(got), asSets(to); a != b {
			t.Fatalf("%q, updated to say %q, is %q, and says\n%swant:\n%s", before, after, d.Bytes(), a, b)
		}
	})
}

// asSets is summary without what an update may change: the order of peers, and the
// order and the duplicates of their prefixes.
func asSets(f *File) string {
	for i := range f.Peers {
		for _, list := range []*[]netip.Prefix{&f.Peers[i].AllowedIPs, &f.Peers[i].ExcludedIPs} {
			slices.SortFunc(*list, netip.Prefix.Compare)
			*list = slices.Compact(*list)
		}
	}
	slices.SortFunc(f.Peers, func(a, b Peer) int { return bytes.Compare(a.PublicKey[:], b.PublicKey[:]) })
	return summary(f)
}
