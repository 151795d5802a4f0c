package quote

import (
	"strings"
	"testing"

	"wgd/key"
)

var (
	secret  = key.NewPrivate(&[32]byte{0xfb, 0xff, 0xbf, 3, 4, 0xfb, 0xff, 0xbf, 8, 9, 10, 11, 12, 13, 14, 0xff, 0xff, 0xff, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31})
	encoded = secret.Base64()
	digits  = secret.Hex()
)

// Nothing that may be repeated has more of a key than its first letters: in base64 or in
// digits, with a letter too many or too few, and with other text around it.
func TestKeysAreHidden(t *testing.T) {
	for _, k := range []string{encoded, encoded[:43], encoded[:41], encoded + "A", "x" + encoded, digits, digits[:63], digits + "0"} {
		for _, text := range []string{k, "10.0.0.0/8," + k, "[" + k + "]:51820", k + ".conf", "key " + k + " key", k + "\n" + k, "ö" + k, k + "\xff"} {
			for name, got := range map[string]string{"Text": Text(text), "Name": Name(text), "Path": Path("./" + text)} {
				for i := range len(k) - shown {
					if strings.Contains(got, k[i:i+shown+1]) {
						t.Errorf("%s(%q): got %q", name, text, got)
						break
					}
				}
			}
		}
	}
	for _, k := range []string{encoded, "/" + encoded[1:], digits} {
		if got := Path(k); got != k[:shown]+"…" {
			t.Errorf("Path(%q): got %q", k, got)
		}
		if !LooksLikeKey(k) {
			t.Errorf("LooksLikeKey(%q) is false", k)
		}
	}
	if got := Name(encoded[:7] + " " + encoded[7:]); got != encoded[:shown]+"…" {
		t.Errorf("a name with white space in it: %q", got)
	}
	if got := Text("wg set " + encoded[:20] + " " + encoded[20:]); got != "wg set "+encoded[:shown]+"… "+encoded[20:20+shown]+"…" {
		t.Errorf("a key with white space in it: %q", got)
	}
}

// Everything else is repeated as it is, if it can be printed.
func TestOtherTextIsRepeated(t *testing.T) {
	for _, text := range []string{"", "70000", "10.0.0.0/33", "fd00:2::1/129", "net.wg.rekey_after_messages", "wg0", "Straße"} {
		if got := Text(text); got != text {
			t.Errorf("Text(%q): got %q", text, got)
		}
	}
	for _, name := range []string{"HeadquartersInAmsterdam", "wireguardserver0001.example.com:51820"} {
		if got := Name(name); got != name {
			t.Errorf("Name(%q): got %q", name, got)
		}
	}
	for _, path := range []string{"wg0", "/etc/wireguard/keys/of/the/first/interface/wg0", "/home/somebody/with-a-long-name/keys/wg0.key", "configs/provider/germany.zip"} {
		if got := Path(path); got != path || LooksLikeKey(path) {
			t.Errorf("Path(%q): got %q, and LooksLikeKey %v", path, got, LooksLikeKey(path))
		}
	}
	if got := Text("a\nb\x00\x1b[31m\u0085\u2028\xff"); got != "a?b??[31m???" {
		t.Errorf("what cannot be printed: %q", got)
	}
	if got := Path("/a\nb"); got != "/a?b" {
		t.Errorf("what cannot be printed in a path: %q", got)
	}
}

// Of a long text, the beginning is repeated, wherever that ends.
func TestLongText(t *testing.T) {
	for before := range 2 * maxLen {
		got := Text(strings.Repeat(",", before) + encoded)
		if strings.Contains(got, encoded[:shown+1]) {
			t.Errorf("after %d bytes: %s", before, got)
		}
		if len(got) > maxLen+len("…") {
			t.Errorf("after %d bytes: %d bytes are repeated", before, len(got))
		}
	}
	if got := Text(strings.Repeat("ö", maxLen)); got != strings.Repeat("ö", maxLen/2)+"…" {
		t.Errorf("cut within a letter: %q", got)
	}
}
