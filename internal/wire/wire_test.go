package wire

import (
	"bytes"
	"encoding/binary"
	"testing"
)

// A1, A2: TypeOf checks the type, the length and the reserved bytes: every first
// byte, with every length below 200 and each reserved byte set.
func TestTypeOf(t *testing.T) {
	lengths := map[byte]int{1: 148, 2: 92, 3: 64}
	for kind := range 256 {
		for n := range 200 {
			msg := make([]byte, n)
			if n > 0 {
				msg[0] = byte(kind)
			}
			want := n > 0 && (lengths[byte(kind)] == n || kind == 4 && n >= 32)
			if got, ok := TypeOf(msg); ok != want || ok && got != Type(kind) {
				t.Fatalf("first byte %d, %d bytes: got %v, %t, want %t", kind, n, got, ok, want)
			}
			for i := 1; i < 4 && i < n; i++ {
				msg[i] = 0x80
				if _, ok := TypeOf(msg); ok {
					t.Fatalf("first byte %d, %d bytes, reserved byte %d set: accepted", kind, n, i)
				}
				msg[i] = 0
			}
		}
	}
}

// A4, B1: TypeOf handles every size that a datagram can have.
func TestEverySize(t *testing.T) {
	all := make([]byte, 65_527)
	for kind := byte(1); kind <= 4; kind++ {
		all[0] = kind
		for n := range len(all) + 1 {
			got, ok := TypeOf(all[:n])
			if want := n >= MinDataSize; kind == 4 && (ok != want || ok && got != TypeData) {
				t.Fatalf("data of %d bytes: got %v, %t, want %t", n, got, ok, want)
			}
			if kind != 4 && ok && n != map[byte]int{1: 148, 2: 92, 3: 64}[kind] {
				t.Fatalf("type %d with %d bytes was accepted", kind, n)
			}
		}
	}
}

// counted returns n bytes that all differ after the first four.
func counted(kind Type, n int) []byte {
	b := make([]byte, n)
	for i := range b[4:] {
		b[4+i] = byte(i + 1)
	}
	b[0] = byte(kind)
	return b
}

// A3: fields are at the offsets of §5.4, integers are little-endian, and encoding
// reverses decoding.
func TestFields(t *testing.T) {
	b := counted(TypeInitiation, InitiationSize)
	first, ok := DecodeInitiation(b)
	if !ok || first.Sender != 0x04030201 || SenderIndex(b) != first.Sender ||
		!bytes.Equal(first.Ephemeral[:], b[8:40]) || !bytes.Equal(first.Static[:], b[40:88]) ||
		!bytes.Equal(first.Timestamp[:], b[88:116]) || !bytes.Equal(first.MAC1[:], b[116:132]) || !bytes.Equal(first.MAC2[:], b[132:148]) {
		t.Errorf("initiation: decoded as %x", first)
	}
	if !bytes.Equal(first.AppendTo(nil), b) {
		t.Error("initiation: encoding differs from the original")
	}
	b = counted(TypeResponse, ResponseSize)
	second, ok := DecodeResponse(b)
	if !ok || second.Sender != 0x04030201 || second.Receiver != 0x08070605 ||
		SenderIndex(b) != second.Sender || ReceiverIndex(b) != second.Receiver ||
		!bytes.Equal(second.Ephemeral[:], b[12:44]) || !bytes.Equal(second.Empty[:], b[44:60]) ||
		!bytes.Equal(second.MAC1[:], b[60:76]) || !bytes.Equal(second.MAC2[:], b[76:92]) {
		t.Errorf("response: decoded as %x", second)
	}
	if !bytes.Equal(second.AppendTo(nil), b) {
		t.Error("response: encoding differs from the original")
	}
	b = counted(TypeCookieReply, CookieReplySize)
	reply, ok := DecodeCookieReply(b)
	if !ok || reply.Receiver != 0x04030201 || !bytes.Equal(reply.Nonce[:], b[8:32]) || !bytes.Equal(reply.Cookie[:], b[32:64]) {
		t.Errorf("cookie reply: decoded as %x", reply)
	}
	if !bytes.Equal(reply.AppendTo([]byte("before")), append([]byte("before"), b...)) {
		t.Error("cookie reply: AppendTo did not append the original")
	}
}

// A3, B4: PutDataHeader writes the header of data, with a counter of 64 bits.
func TestDataHeader(t *testing.T) {
	b := make([]byte, MinDataSize)
	PutDataHeader(b, 0x01020304, 0xf1f2f3f4f5f6f7f8)
	if !bytes.Equal(b[:16], []byte{4, 0, 0, 0, 4, 3, 2, 1, 0xf8, 0xf7, 0xf6, 0xf5, 0xf4, 0xf3, 0xf2, 0xf1}) {
		t.Errorf("got header %x", b[:16])
	}
	if DataIndex(b) != 0x01020304 || DataCounter(b) != 0xf1f2f3f4f5f6f7f8 {
		t.Error("DataIndex or DataCounter differs from what was written")
	}
	if got, ok := TypeOf(b); !ok || got != TypeData {
		t.Error("TypeOf does not recognize our data")
	}
}

func TestTypesHaveNames(t *testing.T) {
	seen := map[string]bool{}
	for kind := range Type(6) {
		seen[kind.String()] = true
	}
	if len(seen) != 5 { // 0 and 5 share one
		t.Errorf("got names %v, want 5", seen)
	}
}

// A1, A2, A4: no datagram causes a panic, at most one decoder accepts it, and the
// decoded message encodes to the same bytes.
func FuzzDatagram(f *testing.F) {
	f.Add([]byte(nil))
	f.Add([]byte{1, 0, 0, 0})
	f.Add(counted(TypeInitiation, InitiationSize))
	f.Add(counted(TypeResponse, ResponseSize))
	f.Add(counted(TypeCookieReply, CookieReplySize))
	f.Add(counted(TypeData, MinDataSize))
	f.Add(counted(TypeData, InitiationSize))
	f.Fuzz(func(t *testing.T, msg []byte) {
		kind, ok := TypeOf(msg)
		first, isFirst := DecodeInitiation(msg)
		second, isSecond := DecodeResponse(msg)
		reply, isReply := DecodeCookieReply(msg)
		if isFirst != (ok && kind == TypeInitiation) || isSecond != (ok && kind == TypeResponse) || isReply != (ok && kind == TypeCookieReply) {
			t.Fatalf("%v, %t: decoders return %t, %t, %t", kind, ok, isFirst, isSecond, isReply)
		}
		switch {
		case isFirst && !bytes.Equal(first.AppendTo(nil), msg),
			isSecond && !bytes.Equal(second.AppendTo(nil), msg),
			isReply && !bytes.Equal(reply.AppendTo(nil), msg):
			t.Fatal("the encoding differs from the original")
		}
		if ok && kind == TypeData {
			again := bytes.Clone(msg)
			PutDataHeader(again, DataIndex(msg), DataCounter(msg))
			if !bytes.Equal(again, msg) || DataIndex(msg) != binary.LittleEndian.Uint32(msg[4:]) {
				t.Fatal("the encoded header differs from the original")
			}
		}
	})
}

func TestLooksLikeMessage(t *testing.T) {
	for _, c := range []struct {
		b    []byte
		want bool
	}{
		{[]byte{1, 0, 0, 0}, true}, {[]byte{4, 0, 0, 0, 9}, true}, {[]byte{0, 0, 0, 0}, false}, {[]byte{5, 0, 0, 0}, false},
		{[]byte{4, 0, 0, 1}, false}, {[]byte{4, 1, 0, 0}, false}, {[]byte{4, 0, 0}, false}, {nil, false},
	} {
		if LooksLikeMessage(c.b) != c.want {
			t.Errorf("LooksLikeMessage(% x) = %t, want %t", c.b, !c.want, c.want)
		}
	}
}
