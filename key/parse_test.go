package key

import (
	"strings"
	"testing"
)

const goodBase64 = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="

var goodHex = strings.Repeat("0123456789abcdef", 4)

// Which texts are keys in base64. The error never contains the text.
func TestParse(t *testing.T) {
	for _, c := range []struct {
		text string
		good bool
	}{
		{goodBase64, true},
		{" \t" + goodBase64 + "\r\n", true},
		{goodBase64 + "\n\n", true},
		{strings.Repeat("A", 43) + "=", true},
		{"", false},
		{"\n", false},
		{goodBase64[:43], false},
		{goodBase64 + "=", false},
		{goodBase64[:42] + "9=", false}, // unused bits are set: another spelling of a key
		{goodBase64[:43] + "8", false},  // 33 bytes
		{goodBase64[:42] + "==", false}, // 31 bytes
		{goodBase64[:20] + "\n" + goodBase64[21:], false},
		{goodBase64[:20] + "\n" + goodBase64[20:], false},
		{goodBase64[:20] + "-" + goodBase64[21:], false},
		{goodBase64[:20] + "\x00" + goodBase64[21:], false},
		{goodHex, false},
	} {
		_, err1 := ParsePrivate(c.text)
		_, err2 := ParsePublic(c.text)
		_, err3 := ParsePreshared(c.text)
		for what, err := range map[string]error{"private key": err1, "public key": err2, "preshared key": err3} {
			checkError(t, what, c.text, c.good, err)
		}
	}
}

// Which texts are keys in hexadecimal.
func TestParseHex(t *testing.T) {
	for _, c := range []struct {
		text string
		good bool
	}{
		{goodHex, true},
		{strings.ToUpper(goodHex), true},
		{strings.Repeat("0", 64), true},
		{"", false},
		{goodHex[1:], false},
		{goodHex + "0", false},
		{goodHex[:63] + "g", false},
		{" " + goodHex[1:], false},
		{goodHex[:63] + "\n", false},
		{goodBase64, false},
	} {
		_, err1 := ParsePrivateHex(c.text)
		_, err2 := ParsePublicHex(c.text)
		_, err3 := ParsePresharedHex(c.text)
		for what, err := range map[string]error{"private key": err1, "public key": err2, "preshared key": err3} {
			checkError(t, what, c.text, c.good, err)
		}
	}
}

func checkError(t *testing.T, what, text string, good bool, err error) {
	t.Helper()
	if (err == nil) != good {
		t.Errorf("%s %q: got error %v, want valid: %v", what, text, err, good)
	}
	if err == nil {
		return
	}
	if !strings.HasPrefix(err.Error(), what+": ") {
		t.Errorf("the error does not name the %s: %q", what, err)
	}
	if body := strings.TrimSpace(text); len(body) > 8 && strings.Contains(err.Error(), body[:8]) {
		t.Errorf("the error contains the secret: %q", err)
	}
}

// No text causes a panic, and every key has one spelling only.
func FuzzParse(f *testing.F) {
	f.Add(goodBase64)
	f.Add(goodBase64 + "\n")
	f.Add(goodBase64[:42] + "9=")
	f.Add(goodHex)
	f.Add(goodHex + " ")
	f.Add("")
	f.Fuzz(func(t *testing.T, s string) {
		public, err := ParsePublic(s)
		_, notHex := ParsePublicHex(s)
		whole := s == strings.TrimSpace(s)
		if IsEncoded(s) != (err == nil && whole || notHex == nil) {
			t.Fatalf("IsEncoded(%q) returns %v; base64: %v; hex: %v", s, IsEncoded(s), err, notHex)
		}
		if err == nil && public.Base64() != strings.TrimSpace(s) {
			t.Fatalf("%q is parsed as %v", s, public)
		}
		preshared, err2 := ParsePreshared(s)
		private, err3 := ParsePrivate(s)
		if (err == nil) != (err2 == nil) || (err == nil) != (err3 == nil) {
			t.Fatalf("%q is a key of one kind, but not of another: %v, %v, %v", s, err, err2, err3)
		}
		if err == nil && Public(preshared.Bytes()) != public {
			t.Fatalf("%q gives different public and preshared keys", s)
		}
		if again, err := ParsePrivate(private.Base64()); err != nil || !again.Equal(private) {
			t.Fatalf("a private key is not the same after encoding and parsing: %v", err)
		}
		public, err = ParsePublicHex(s)
		if err == nil && public.Hex() != strings.ToLower(s) {
			t.Fatalf("%q is parsed as %v", s, public)
		}
	})
}
