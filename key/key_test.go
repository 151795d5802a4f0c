package key

import (
	"bytes"
	"crypto/ecdh"
	"encoding/hex"
	"errors"
	"strings"
	"testing"
	"testing/iotest"
)

// ascending returns the bytes 0 to 31.
func ascending() (b [Size]byte) {
	for i := range b {
		b[i] = byte(i)
	}
	return b
}

// The expected public keys come from an independent program for the formulas of
// RFC 7748, in another language.
func TestPublic(t *testing.T) {
	b := ascending()
	inverted := b
	for i := range inverted {
		inverted[i] = ^inverted[i]
	}
	for _, c := range []struct {
		private [Size]byte
		public  string
	}{
		{b, "8f40c5adb68f25624ae5b214ea767a6ec94d829d3d7b5e1ad1ba6f3e2138285f"},
		{inverted, "3ebcb692149344dc54e58160cf90bed9eea1dd14e81c8e91de557af7d7afd915"},
	} {
		if got := NewPrivate(&c.private).Public().Hex(); got != c.public {
			t.Errorf("public key of %x: %s, want %s", c.private, got, c.public)
		}
	}
}

// A10, A11: a point has low order if Diffie-Hellman with it gives zero. Any
// scalar shows it: a clamped one is a multiple of 8, and of no other divisor of
// a point's order on the curve or its twist.
func TestLowOrder(t *testing.T) {
	b := ascending()
	scalar, err := ecdh.X25519().NewPrivateKey(b[:])
	if err != nil {
		t.Fatal(err)
	}
	check := func(k Public) (low bool) {
		t.Helper()
		point, err := ecdh.X25519().NewPublicKey(k[:])
		if err != nil {
			t.Fatal(err)
		}
		_, err = scalar.ECDH(point)
		if got := k.LowOrder(); got != (err != nil) {
			t.Errorf("%x: LowOrder returns %v; Diffie-Hellman: %v", k, got, err)
		}
		return err != nil
	}
	// Here the points are written out: the list of LowOrder does not prove itself.
	found := 0
	for _, s := range []string{
		"00" + strings.Repeat("00", 31), "01" + strings.Repeat("00", 31),
		"ec" + strings.Repeat("ff", 30) + "7f", "ed" + strings.Repeat("ff", 30) + "7f", "ee" + strings.Repeat("ff", 30) + "7f",
		"e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
		"5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
	} {
		k, err := ParsePublicHex(s)
		if err != nil {
			t.Fatal(err)
		}
		for bit := range 8 * Size {
			other := k
			other[bit/8] ^= 1 << (bit % 8)
			check(other)
		}
		top := k
		top[Size-1] ^= 0x80
		if check(k) && check(top) {
			found++
		}
	}
	for last := range 256 { // the numbers near 0 and near p
		check(Public{byte(last)})
		check(nearP(byte(last)))
	}
	if found != 7 {
		t.Errorf("found %d encodings, want 7", found)
	}
}

// NewPrivate clamps the key, and makes none from 32 zero bytes.
func TestClamping(t *testing.T) {
	ones := [Size]byte(bytes.Repeat([]byte{0xff}, Size))
	k := NewPrivate(&ones)
	if b := k.Bytes(); b[0] != 0xf8 || b[31] != 0x7f || !bytes.Equal(b[1:31], ones[1:31]) {
		t.Errorf("%x", b)
	}
	one := [Size]byte{0: 1}
	if b := NewPrivate(&one).Bytes(); [Size]byte(b) != [Size]byte{31: 0x40} {
		t.Errorf("%x", b)
	}
	none := NewPrivate(&[Size]byte{})
	if !none.IsZero() || [Size]byte(none.Bytes()) != [Size]byte{} || !none.Public().IsZero() {
		t.Error("NewPrivate made a key from 32 zero bytes")
	}
	if parsed, err := ParsePrivateHex(k.Hex()); err != nil || !parsed.Equal(k) {
		t.Errorf("clamping it again gave another key, or an error: %v", err)
	}
}

func TestEqual(t *testing.T) {
	b := ascending()
	k, p := NewPrivate(&b), NewPreshared(&b)
	if !k.Equal(NewPrivate(&b)) || k.Equal(Private{}) || !p.Equal(NewPreshared(&b)) || p.Equal(Preshared{}) {
		t.Error("Equal is wrong about equal keys or the zero key")
	}
	if !(Private{}).Equal(NewPrivate(&[Size]byte{})) || !(Preshared{}).Equal(NewPreshared(&[Size]byte{})) {
		t.Error("a key from 32 zero bytes does not equal the zero key")
	}
	if k.IsZero() || p.IsZero() || k.Public().IsZero() || !(Private{}).IsZero() || !(Preshared{}).IsZero() {
		t.Error("IsZero is wrong")
	}
	b[1]++
	if k.Equal(NewPrivate(&b)) || p.Equal(NewPreshared(&b)) {
		t.Error("a key shares the bytes that it was made from, or different keys are equal")
	}
}

// A35: Erase zeroes the bytes that all copies of the handle share, and does not
// affect a clone.
func TestErase(t *testing.T) {
	b := ascending()
	k, p := NewPrivate(&b), NewPreshared(&b)
	copied, cloned, inMemory := k, k.Clone(), k.b
	copiedP, clonedP, inMemoryP := p, p.Clone(), p.b
	k.Erase()
	p.Erase()
	if !k.IsZero() || !copied.IsZero() || !p.IsZero() || !copiedP.IsZero() || *inMemory != zero || *inMemoryP != zero {
		t.Error("after Erase a copy or the memory still has the key")
	}
	if !cloned.Equal(NewPrivate(&b)) || !clonedP.Equal(NewPreshared(&b)) {
		t.Error("Erase changed a clone")
	}
	if !copied.Public().IsZero() || !copied.Clone().IsZero() || copied.Hex() != strings.Repeat("0", 64) {
		t.Error("an erased key does not behave like the zero key")
	}
	Private{}.Erase()
	Preshared{}.Erase()
	if zero != [Size]byte{} {
		t.Error("Erase changed the zero key")
	}
}

// Bytes and AppendHex return copies, which belong to the caller.
func TestBytes(t *testing.T) {
	b := ascending()
	k, p := NewPrivate(&b), NewPreshared(&b)
	kb, pb := k.Bytes(), p.Bytes()
	if !bytes.Equal(pb, b[:]) || !bytes.Equal(kb[1:31], b[1:31]) {
		t.Errorf("%x, %x", kb, pb)
	}
	if got := string(k.AppendHex([]byte("k="))); got != "k="+k.Hex() {
		t.Error(got)
	}
	if got := string(p.AppendHex([]byte("k="))); got != "k="+p.Hex() {
		t.Error(got)
	}
	clear(kb)
	clear(pb)
	clear((Private{}).Bytes())
	if k.IsZero() || p.IsZero() || zero != [Size]byte{} {
		t.Error("zeroing the result of Bytes changed a key")
	}
}

func TestGenerate(t *testing.T) {
	ones := bytes.Repeat([]byte{0xff}, Size)
	private, err := GeneratePrivate(bytes.NewReader(ones))
	if b := private.Bytes(); err != nil || b[0] != 0xf8 || b[31] != 0x7f || b[1] != 0xff {
		t.Errorf("private key: %x, %v", b, err)
	}
	preshared, err := GeneratePreshared(bytes.NewReader(ones))
	if b := preshared.Bytes(); err != nil || !bytes.Equal(b, ones) {
		t.Errorf("preshared key: %x, %v", b, err)
	}
	// With too few random bytes there is an error and no key.
	broken := errors.New("broken")
	if k, err := GeneratePrivate(iotest.ErrReader(broken)); !errors.Is(err, broken) || !k.IsZero() {
		t.Errorf("private key from a broken reader: %v", err)
	}
	if k, err := GeneratePreshared(bytes.NewReader(ones[1:])); err == nil || !k.IsZero() {
		t.Errorf("preshared key from 31 bytes: %v", err)
	}
}

// Every kind of key can be parsed from its own output, in every encoding.
func TestForms(t *testing.T) {
	b := ascending()
	private, public, preshared := NewPrivate(&b), Public(b), NewPreshared(&b)
	if got, err := ParsePrivate(private.Base64()); err != nil || !got.Equal(private) {
		t.Errorf("private, base64: %v", err)
	}
	if got, err := ParsePrivateHex(private.Hex()); err != nil || !got.Equal(private) {
		t.Errorf("private, hex: %v", err)
	}
	if got, err := ParsePreshared(preshared.Base64()); err != nil || !got.Equal(preshared) {
		t.Errorf("preshared, base64: %v", err)
	}
	if got, err := ParsePresharedHex(preshared.Hex()); err != nil || !got.Equal(preshared) {
		t.Errorf("preshared, hex: %v", err)
	}
	if got, err := ParsePublic(public.String()); err != nil || got != public {
		t.Errorf("public, base64: %v", err)
	}
	if got, err := ParsePublicHex(public.Hex()); err != nil || got != public || public.Hex() != hex.EncodeToString(b[:]) {
		t.Errorf("public, hex: %v", err)
	}
	text, err := public.MarshalText()
	var got Public
	if err != nil || string(text) != "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=" || got.UnmarshalText(text) != nil || got != public {
		t.Errorf("public, text: %s, %v", text, err)
	}
	if got.UnmarshalText([]byte("no")) == nil || got != public {
		t.Error("UnmarshalText of a text that is not a key gave no error, or changed the key")
	}
}
