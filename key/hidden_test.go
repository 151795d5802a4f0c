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

// exampleSecrets returns one secret key of each kind. Their bytes do not occur in
// addresses or lengths.
func exampleSecrets() (Private, Preshared) {
	b := [Size]byte(bytes.Repeat([]byte{0xd3, 0x5a}, Size/2))
	return NewPrivate(&b), NewPreshared(&b)
}

// leaks returns texts that show the secret if they occur in some output.
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
		t.Errorf("%s prints %s, want %s in it", how, got, hidden)
	}
}

// Every verb with every flag prints "(hidden)", for values, pointers, and keys
// inside other values.
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

	// A binary encoding fails, or contains only the word.
	out.Reset()
	_ = gob.NewEncoder(&out).Encode(private)
	for _, s := range leaks() {
		if strings.Contains(out.String(), s) {
			t.Error("gob shows the secret")
		}
	}
	// Decoding "(hidden)" does not give a key.
	var back struct{ K Private }
	if json.Unmarshal([]byte(`{"K":"(hidden)"}`), &back) == nil && !back.K.IsZero() {
		t.Error("json decoded (hidden) as a key")
	}
}

// A struct with a key in an unexported field is hidden if it embeds Hidden.
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
		t.Errorf("a Private has %d bytes, want the size of a pointer", n)
	}
}

// Public keys are printed in base64.
func TestPrintingPublicKeys(t *testing.T) {
	k := Public(ascending())
	want := "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
	if got := fmt.Sprintf("%v %s", k, k); got != want+" "+want {
		t.Errorf("got %q, want %q twice", got, want)
	}
	if b, err := json.Marshal(map[Public]Public{k: k}); err != nil || string(b) != `{"`+want+`":"`+want+`"}` {
		t.Errorf("json: got %s, %v", b, err)
	}
}
