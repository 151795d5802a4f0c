package aead

import (
	"encoding/binary"
	"encoding/hex"
	"math/big"
	"math/bits"
	"os"
	"slices"
	"strings"
	"testing"
)

// The cipher as RFC 8439 describes it, without regard to speed. It shares no
// code with the implementations that it is compared with.

// referenceBlock is section 2.3: it returns one block of key stream.
func referenceBlock(key, nonce []byte, counter uint32) []byte {
	s := [16]uint32{0x61707865, 0x3320646e, 0x79622d32, 0x6b206574}
	for i := range 8 {
		s[4+i] = binary.LittleEndian.Uint32(key[4*i:])
	}
	s[12] = counter
	for i := range 3 {
		s[13+i] = binary.LittleEndian.Uint32(nonce[4*i:])
	}
	x := s
	quarter := func(a, b, c, d int) {
		x[a] += x[b]
		x[d] = bits.RotateLeft32(x[d]^x[a], 16)
		x[c] += x[d]
		x[b] = bits.RotateLeft32(x[b]^x[c], 12)
		x[a] += x[b]
		x[d] = bits.RotateLeft32(x[d]^x[a], 8)
		x[c] += x[d]
		x[b] = bits.RotateLeft32(x[b]^x[c], 7)
	}
	for range 10 {
		for i := range 4 {
			quarter(i, 4+i, 8+i, 12+i)
		}
		for i := range 4 {
			quarter(i, 4+(i+1)%4, 8+(i+2)%4, 12+(i+3)%4)
		}
	}
	out := make([]byte, 0, 64)
	for i := range x {
		out = binary.LittleEndian.AppendUint32(out, x[i]+s[i])
	}
	return out
}

// referencePoly1305 is section 2.5, with big integers.
func referencePoly1305(key, msg []byte) []byte {
	r, s := littleEndian(key[:16]), littleEndian(key[16:])
	clamp, _ := new(big.Int).SetString("0ffffffc0ffffffc0ffffffc0fffffff", 16)
	r.And(r, clamp)
	p := new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 130), big.NewInt(5))
	a := new(big.Int)
	for block := range slices.Chunk(msg, 16) {
		a.Add(a, littleEndian(append(slices.Clone(block), 1)))
		a.Mod(a.Mul(a, r), p)
	}
	a.Add(a, s)
	tag := a.And(a, new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 128), big.NewInt(1))).FillBytes(make([]byte, 16))
	slices.Reverse(tag)
	return tag
}

func littleEndian(b []byte) *big.Int {
	b = slices.Clone(b)
	slices.Reverse(b)
	return new(big.Int).SetBytes(b)
}

// referenceSeal is section 2.8.
func referenceSeal(key, nonce, plaintext, data []byte) []byte {
	out := slices.Clone(plaintext)
	for i := range out {
		if i%64 == 0 {
			stream := referenceBlock(key, nonce, uint32(1+i/64))
			for j := i; j < min(i+64, len(out)); j++ {
				out[j] ^= stream[j-i]
			}
		}
	}
	mac := append(slices.Clone(data), make([]byte, -len(data)&15)...)
	mac = append(append(mac, out...), make([]byte, -len(out)&15)...)
	mac = binary.LittleEndian.AppendUint64(mac, uint64(len(data)))
	mac = binary.LittleEndian.AppendUint64(mac, uint64(len(out)))
	return append(out, referencePoly1305(referenceBlock(key, nonce, 0)[:32], mac)...)
}

// The reference agrees with the test vectors of RFC 8439.
func TestReferenceAgainstRFC8439(t *testing.T) {
	for _, v := range vectors(t, "rfc8439.txt") {
		var got []byte
		switch v.kind {
		case "block":
			got = referenceBlock(v.field["key"], v.field["nonce"], uint32(v.field["counter"][0]))
		case "poly1305":
			got = referencePoly1305(v.field["key"], v.field["plaintext"])
		case "aead":
			got = referenceSeal(v.field["key"], v.field["nonce"], v.field["plaintext"], v.field["data"])
		default:
			t.Fatalf("section %s: unknown kind %q", v.section, v.kind)
		}
		if !slices.Equal(got, v.field["out"]) {
			t.Errorf("section %s: got %x, want %x", v.section, got, v.field["out"])
		}
	}
}

// The reference agrees with the test vectors of Wycheproof.
func TestReferenceAgainstWycheproof(t *testing.T) {
	all := vectors(t, "wycheproof.txt")
	for _, v := range all {
		if got := referenceSeal(v.field["key"], v.field["nonce"], v.field["plaintext"], v.field["data"]); !slices.Equal(got, v.field["out"]) {
			t.Errorf("%s: got %x, want %x", v.section, got, v.field["out"])
		}
	}
	if len(all) != 256 {
		t.Errorf("%d vectors, want 256", len(all))
	}
}

// Seal computes the ciphertext of RFC 8439, A.5, the vector whose nonce has the
// form that the protocol uses. (Its tag covers additional data, so the tag is
// compared with the reference.)
func TestVectorOfRFC8439(t *testing.T) {
	for _, v := range vectors(t, "rfc8439.txt") {
		if v.section != "A.5" {
			continue
		}
		plaintext, nonce := v.field["plaintext"], v.field["nonce"]
		k := newKey([KeySize]byte(v.field["key"]))
		buf, packets := layOut(plaintext)
		k.Seal(buf, packets, binary.LittleEndian.Uint64(nonce[4:]))
		want := slices.Concat(v.field["out"][:len(plaintext)], referenceSeal(v.field["key"], nonce, plaintext, nil)[len(plaintext):])
		if got := packets[0].in(buf)[HeaderSize:]; !slices.Equal(got, want) {
			t.Errorf("sealed\n%x, want\n%x", got, want)
		}
		if k.Open(buf, packets) != 0 || !slices.Equal(packets[0].in(buf)[HeaderSize:len(buf)-TagSize], plaintext) {
			t.Error("the sealed packet does not open")
		}
		return
	}
	t.Fatal("testdata/rfc8439.txt has no section A.5")
}

type vector struct {
	section, kind string
	field         map[string][]byte
}

func vectors(t *testing.T, file string) (all []vector) {
	text, err := os.ReadFile("testdata/" + file)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		words := strings.Fields(line)
		if len(words) == 0 || words[0] == "#" {
			continue
		}
		if words[0] == "section" {
			all = append(all, vector{words[1], words[2], map[string][]byte{}})
			continue
		}
		b, err := hex.DecodeString(words[1])
		if err != nil {
			t.Fatal(err)
		}
		all[len(all)-1].field[words[0]] = b
	}
	return all
}
