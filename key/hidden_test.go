package key

import (
	"bytes"
	"encoding/gob"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"unsafe"
)

// exampleSecrets are one of each kind with bytes that no address or length has.
func exampleSecrets() (Private, Preshared) {
	b := [Size]byte(bytes.Repeat([]byte{0xd3, 0x5a}, Size/2))
	return NewPrivate(&b), NewPreshared(&b)
}

// leaks are what would give the secret away in some output.
func leaks() []string {
	private, preshared := exampleSecrets()
	return []string{
		private.Base64()[4:20], preshared.Base64()[4:20], "d35a", "d3 5a", "D35A", "D3 5A",
		"d3, 0x5a", "211 90", "211, 90", "211,90", "323 132", "11010011", "\xd3\x5a", `\xd3`, "'Ó'", "U+00D3",
	}
}

func wantHidden(t *testing.T, how, got string) {
	t.Helper()
	for _, s := range leaks() {
		if strings.Contains(got, s) {
			t.Errorf("%s shows the secret: %s", how, got)
		}
	}
	if !strings.Contains(got, hidden) {
		t.Errorf("%s gives %s", how, got)
	}
}

// Every verb there is, with flags, for values, pointers, and inside of other
// values.
func TestPrintingHidesSecrets(t *testing.T) {
	private, preshared := exampleSecrets()
	type holder struct {
		Name      string
		Private   Private
		Preshared *Preshared
	}
	for _, v := range []any{
		private, &private, preshared, &preshared, []Private{private}, map[string]Preshared{"a": preshared},
		[1]any{private}, struct{ Private }{private}, holder{"x", private, &preshared}, &holder{"x", private, &preshared},
	} {
		for _, verb := range "vsxXdqtbcoOUeEfFgG" {
			for _, flags := range []string{"", "+", "#", " ", "-", "0", "10", ".3"} {
				format := "%" + flags + string(verb)
				wantHidden(t, fmt.Sprintf("%s of %T", format, v), fmt.Sprintf(format, v))
			}
		}
	}
	wantHidden(t, "Sprint", fmt.Sprint(private, preshared))
	wantHidden(t, "errors", errors.Join(fmt.Errorf("key %v", private)).Error())
}

func TestLogsAndEncodingsHideSecrets(t *testing.T) {
	private, preshared := exampleSecrets()
	both := map[string]any{"private": private, "preshared": &preshared, "struct": struct{ K Private }{private}}
	b, err := json.Marshal(both)
	if err != nil {
		t.Fatal(err)
	}
	wantHidden(t, "json", string(b))
	type holder struct{ K Private }
	if b, err = xml.Marshal(holder{private}); err != nil {
		t.Fatal(err)
	}
	wantHidden(t, "xml", string(b))

	var out bytes.Buffer
	for _, h := range []slog.Handler{slog.NewTextHandler(&out, nil), slog.NewJSONHandler(&out, nil)} {
		slog.New(h).Info("x", "private", private, "preshared", &preshared, "struct", struct{ K Preshared }{preshared})
	}
	wantHidden(t, "slog", out.String())

	// A binary encoding fails, or has no more than the word.
	out.Reset()
	_ = gob.NewEncoder(&out).Encode(private)
	for _, s := range leaks() {
		if strings.Contains(out.String(), s) {
			t.Error("gob shows the secret")
		}
	}
	// A hidden key is not read back as if it were one.
	var back struct{ K Private }
	if json.Unmarshal([]byte(`{"K":"(hidden)"}`), &back) == nil && !back.K.IsZero() {
		t.Error("json made a key of (hidden)")
	}
}

// fmt passes unexported fields by; who keeps a secret in one embeds Hidden.
func TestHiddenStructs(t *testing.T) {
	private, _ := exampleSecrets()
	type keeper struct {
		Hidden
		k Private
	}
	v := keeper{k: private}
	for _, verb := range []string{"%v", "%+v", "%#v", "%x", "%d", "%s"} {
		wantHidden(t, verb, fmt.Sprintf(verb, v))
		wantHidden(t, verb, fmt.Sprintf(verb, &v))
	}
	if n := unsafe.Sizeof(private); n != unsafe.Sizeof(&private) {
		t.Errorf("a private key is %d bytes: no handle any more", n)
	}
}

// A public key is for everybody to read.
func TestPrintingPublicKeys(t *testing.T) {
	k := Public(ascending())
	want := "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
	if got := fmt.Sprintf("%v %s", k, k); got != want+" "+want {
		t.Error(got)
	}
	if b, err := json.Marshal(map[Public]Public{k: k}); err != nil || string(b) != `{"`+want+`":"`+want+`"}` {
		t.Errorf("%s, %v", b, err)
	}
}
