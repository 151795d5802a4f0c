package wg_test

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"wgd/conf"
	"wgd/internal/aead"
	"wgd/internal/cli/show"
	"wgd/internal/clock"
	"wgd/internal/cookie"
	"wgd/internal/core"
	"wgd/internal/index"
	"wgd/internal/noise"
	"wgd/internal/session"
	"wgd/internal/uapi"
	"wgd/internal/wire"
	"wgd/internal/x25519"
	"wgd/key"
	"wgd/netstack"
	"wgd/wg"
)

// The trace of a panic shows the first bytes of all arguments. These tests cause
// a panic inside every function that receives a secret, each in a process of its
// own, and search for the secret in its output. (internal/archtest checks the
// signatures.)

const traceCase = "WGD_TEST_PANIC_BELOW"

// secret has a pattern that does not occur in addresses, lengths or counters, at
// any offset in a word. Clamping changes only the first and the last byte.
var secret = [32]byte(bytes.Repeat([]byte{0xd3, 0x5a}, 16))

// spellings returns how a trace could show the secret: as bytes, words, or text.
func spellings() []string {
	b64, digits := base64.StdEncoding.EncodeToString(secret[:]), hex.EncodeToString(secret[:])
	return []string{"0xd3, 0x5a", "0x5a, 0xd3", digits[:8], digits[2:10], b64[4:12], b64[5:13], b64[6:14]}
}

// halfMapped returns the address of a copy of b of which only the first bytes are
// in accessible memory: a function that reads or writes all of it dies half-way.
func halfMapped(b []byte, accessible int) unsafe.Pointer {
	page := os.Getpagesize()
	memory, err := unix.Mmap(-1, 0, 2*page, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err == nil {
		err = unix.Mprotect(memory[page:], unix.PROT_NONE)
	}
	if err != nil {
		panic(err)
	}
	copy(memory[page-accessible:], b[:accessible])
	return unsafe.Pointer(&memory[page-accessible])
}

func halfMappedArray() *[32]byte { return (*[32]byte)(halfMapped(secret[:], 16)) }

func halfMappedString(s string) string {
	return unsafe.String((*byte)(halfMapped([]byte(s), len(s)-4)), len(s))
}

// halfMappedKey returns a handle of a secret that is half accessible.
func halfMappedKey[K key.Private | key.Preshared]() (k K) {
	*(*unsafe.Pointer)(unsafe.Pointer(&k)) = halfMapped(secret[:], 16)
	return k
}

// A panicking reader returns its text and then panics; a panicking writer panics.
type panicking struct{ text []byte }

func (d *panicking) Read(b []byte) (int, error) {
	if len(d.text) == 0 {
		panic("wanted by the test")
	}
	n := copy(b, d.text)
	d.text = d.text[n:]
	return n, nil
}

func (*panicking) Write([]byte) (int, error) { panic("wanted by the test") }

func aKey() key.Private { return key.NewPrivate(&secret) }

// handshake runs a handshake up to the response.
func handshake() (initiator, responder *noise.Handshake, static *noise.Static, response *wire.Response) {
	private := aKey()
	static, remote := noise.NewStatic(private), noise.NewRemote(private.Public())
	msg, initiator, err := noise.CreateInitiation(nil, static, remote, &secret, 1, wire.StampAt(time.Now()))
	if err == nil {
		_, state, _ := noise.ConsumeInitiationStatic(nil, static, msg)
		_, responder, err = state.Finish(nil, static, remote)
	}
	if err == nil {
		response, err = responder.CreateResponse(nil, new(noise.Keys), &secret, key.NewPreshared(&secret), 2)
	}
	if err != nil {
		panic(err)
	}
	return initiator, responder, static, response
}

func splitKeys() *noise.Keys {
	return (*noise.Keys)(halfMapped(bytes.Repeat(secret[:], 2), 48))
}

func machine() *core.Machine {
	return core.New(core.Options{Rand: &panicking{text: bytes.Repeat(secret[:], 100)}, Index: index.New()})
}

func tunnel() *wg.Interface {
	stack, err := netstack.New(netstack.Options{Addresses: []netip.Prefix{netip.MustParsePrefix("10.2.0.1/32")}})
	if err != nil {
		panic(err)
	}
	w, err := wg.Open(wg.Options{Name: "wg0", Device: stack})
	if err != nil {
		panic(err)
	}
	return w
}

func peerWithPSK(psk *key.Preshared) []conf.PeerChange {
	return []conf.PeerChange{{PublicKey: key.Public{9}, PresharedKey: psk}}
}

func ptr[T any](v T) *T { return &v }

var scalar x25519.Scalar // a variable of a function is not written if nobody reads it

//go:noinline
func byValue(k [32]byte) byte { panic("wanted by the test") }

// secretFuncs calls each function that receives a secret so that it panics.
var secretFuncs = map[string]func(){
	"key.GeneratePrivate":   func() { key.GeneratePrivate(&panicking{text: secret[:16]}) },
	"key.GeneratePreshared": func() { key.GeneratePreshared(&panicking{text: secret[:16]}) },
	"key.NewPrivate":        func() { key.NewPrivate(halfMappedArray()) },
	"key.NewPreshared":      func() { key.NewPreshared(halfMappedArray()) },
	"key.ParsePrivate":      func() { key.ParsePrivate(halfMappedString(aKey().Base64())) },
	"key.ParsePrivateHex":   func() { key.ParsePrivateHex(halfMappedString(aKey().Hex())) },
	"key.ParsePreshared":    func() { key.ParsePreshared(halfMappedString(aKey().Base64())) },
	"key.ParsePresharedHex": func() { key.ParsePresharedHex(halfMappedString(aKey().Hex())) },
	"key.IsEncoded":         func() { key.IsEncoded(halfMappedString(aKey().Base64())) },

	"key.Private.Public":    func() { halfMappedKey[key.Private]().Public() },
	"key.Private.IsZero":    func() { halfMappedKey[key.Private]().IsZero() },
	"key.Private.Equal":     func() { aKey().Equal(halfMappedKey[key.Private]()) },
	"key.Private.Bytes":     func() { halfMappedKey[key.Private]().Bytes() },
	"key.Private.Base64":    func() { halfMappedKey[key.Private]().Base64() },
	"key.Private.Hex":       func() { halfMappedKey[key.Private]().Hex() },
	"key.Private.AppendHex": func() { halfMappedKey[key.Private]().AppendHex(nil) },
	"key.Private.Clone":     func() { halfMappedKey[key.Private]().Clone() },
	"key.Private.Erase":     func() { halfMappedKey[key.Private]().Erase() },

	"key.Preshared.IsZero":    func() { halfMappedKey[key.Preshared]().IsZero() },
	"key.Preshared.Equal":     func() { key.NewPreshared(&secret).Equal(halfMappedKey[key.Preshared]()) },
	"key.Preshared.Bytes":     func() { halfMappedKey[key.Preshared]().Bytes() },
	"key.Preshared.Base64":    func() { halfMappedKey[key.Preshared]().Base64() },
	"key.Preshared.Hex":       func() { halfMappedKey[key.Preshared]().Hex() },
	"key.Preshared.AppendHex": func() { halfMappedKey[key.Preshared]().AppendHex(nil) },
	"key.Preshared.Clone":     func() { halfMappedKey[key.Preshared]().Clone() },
	"key.Preshared.Erase":     func() { halfMappedKey[key.Preshared]().Erase() },

	"fmt.Fprintf":         func() { fmt.Fprintf(&panicking{}, "%v %x %d", aKey(), aKey(), key.NewPreshared(&secret)) },
	"slog.(*Logger).Warn": func() { slog.New(slog.NewTextHandler(&panicking{}, nil)).Warn("x", "key", aKey()) },
	"conf.(*Change).Validate": func() {
		psk := key.NewPreshared(&secret)
		c := conf.Change{PrivateKey: ptr(aKey()), Peers: peerWithPSK(&psk)}
		c.Peers[0].Name = ptr(halfMappedString(aKey().Base64()))
		c.Validate()
	},

	"noise.NewStatic": func() { noise.NewStatic(halfMappedKey[key.Private]()) },
	"noise.CreateInitiation": func() {
		static := noise.NewStatic(aKey())
		noise.CreateInitiation(nil, static, noise.NewRemote(static.Public()), halfMappedArray(), 1, wire.TAI64N{})
	},
	"noise.ConsumeInitiationStatic": func() { noise.ConsumeInitiationStatic(nil, noise.NewStatic(aKey()), nil) },
	"noise.(*InitiationState).Finish": func() {
		private := aKey()
		static := noise.NewStatic(private)
		msg, _, _ := noise.CreateInitiation(nil, static, noise.NewRemote(private.Public()), &secret, 1, wire.TAI64N{})
		_, state, _ := noise.ConsumeInitiationStatic(nil, static, msg)
		state.Finish(nil, static, nil)
	},
	"noise.(*InitiationState).AskForResponse": func() { new(noise.InitiationState).AskForResponse(new(noise.Exchange), halfMappedArray()) },
	"noise.(*Handshake).CreateResponse": func() {
		_, responder, _, _ := handshake()
		responder.CreateResponse(nil, splitKeys(), &secret, key.NewPreshared(&secret), 2)
	},
	"noise.(*transcript).mixPreshared": func() {
		_, responder, _, _ := handshake()
		responder.CreateResponse(nil, new(noise.Keys), &secret, halfMappedKey[key.Preshared](), 2)
	},
	"noise.(*Handshake).ConsumeResponse": func() {
		initiator, _, static, response := handshake()
		initiator.ConsumeResponse(nil, splitKeys(), static, key.NewPreshared(&secret), response)
	},

	"x25519.(*Scalar).Set": func() { scalar.Set(halfMappedArray()) },

	"aead.(*Key).Set": func() { new(aead.Key).Set(halfMappedArray()) },
	"session.New":     func() { session.New(halfMappedArray(), &secret, 1, 2, true, 0) },
	"session.(*Keypair).Seal": func() {
		k := session.New(&secret, &secret, 1, 2, true, 0)
		k.Seal(unsafe.Slice((*byte)(halfMapped(make([]byte, 64), 64)), 128), []aead.Packet{{Len: 128}}, 0)
	},
	"session.(*Keypair).Open": func() {
		k := session.New(&secret, &secret, 1, 2, true, 0)
		k.Open(unsafe.Slice((*byte)(halfMapped(make([]byte, 64), 64)), 128), []aead.Packet{{Len: 128}})
	},
	"cookie.(*Checker).Reply": func() {
		c := cookie.NewChecker(aKey().Public(), &panicking{text: secret[:16]})
		c.Reply(1, netip.MustParseAddrPort("192.0.2.1:1"), make([]byte, wire.InitiationSize))
	},
	"cookie.(*Maker).AddMACs": func() { cookie.NewMaker(aKey().Public()).AddMACs(1, secret[:16]) },

	"core.(*Machine).Apply": func() { machine().Apply(clock.Now{}, conf.Change{PrivateKey: ptr(halfMappedKey[key.Private]())}) },
	"core.(*edit).peer": func() {
		psk := halfMappedKey[key.Preshared]()
		machine().Apply(clock.Now{}, conf.Change{PrivateKey: ptr(aKey()), Peers: peerWithPSK(&psk)})
	},
	"core.(*Machine).initiate": func() {
		m := core.New(core.Options{Rand: &panicking{text: secret[:10]}, Index: index.New()})
		end := netip.MustParseAddrPort("192.0.2.1:1")
		peer := conf.PeerChange{PublicKey: key.Public{9}, Endpoint: &end, PersistentKeepalive: ptr(uint16(1))}
		m.Apply(clock.Now{}, conf.Change{PrivateKey: ptr(aKey()), Peers: []conf.PeerChange{peer}})
		m.Up(clock.Now{Mono: 1, Wall: time.Unix(1<<30, 0)})
		m.Timeout(clock.Now{Mono: 2, Wall: time.Unix(1<<30, 0)})
	},
	"wg.(*Interface).Apply": func() { tunnel().Apply(conf.Change{PrivateKey: ptr(halfMappedKey[key.Private]())}) },

	"uapi.WriteChange": func() {
		uapi.WriteChange(bufio.NewWriter(io.Discard), &conf.Change{PrivateKey: ptr(halfMappedKey[key.Private]())})
	},
	"uapi.WriteStatus": func() {
		s := conf.Status{PrivateKey: aKey(), Peers: []conf.PeerStatus{{PresharedKey: key.NewPreshared(&secret)}}}
		uapi.WriteStatus(bufio.NewWriter(&panicking{}), &s)
	},
	"uapi.(*Decoder).Next": func() {
		text := "set=1\nprivate_key=" + aKey().Hex() + "\npublic_key=" + aKey().Public().Hex() + "\npreshared_key=" + aKey().Hex() + "\n"
		uapi.NewDecoder(&panicking{text: []byte(text)}).Next()
	},
	"uapi.(*Reader).Status": func() {
		uapi.NewReader(&panicking{text: []byte("private_key=" + aKey().Hex() + "\n")}).Status()
	},
	"show.Peer":           func() { show.Peer(&panicking{}, &conf.PeerStatus{PresharedKey: key.NewPreshared(&secret)}, "", true) },
	"show.PrivateKeyJSON": func() { show.PrivateKeyJSON(&conf.Status{PrivateKey: halfMappedKey[key.Private]()}) },
}

// The trace of a panic in a function that received a secret does not show it.
func TestTracesShowNoSecret(t *testing.T) {
	if f := secretFuncs[os.Getenv(traceCase)]; f != nil {
		f()
		return // the parent reports that there was no panic
	}
	for name := range secretFuncs {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			trace := traceOf(t, "TestTracesShowNoSecret", name)
			if !strings.Contains(trace, "/"+name+"(") && !strings.Contains(trace, "\n"+name+"(") && !strings.Contains(trace, "log/"+name+"(") {
				t.Fatalf("the panic was not inside %s:\n%s", name, trace)
			}
			for _, s := range spellings() {
				if strings.Contains(trace, s) {
					t.Errorf("the trace shows %s:\n%s", s, trace)
				}
			}
		})
	}
}

// A trace does show a secret that is passed by value, in a form that the test
// above searches for.
func TestTracesShowValuesPassedByValue(t *testing.T) {
	if os.Getenv(traceCase) != "" {
		byValue(secret)
	}
	trace := traceOf(t, t.Name(), "byValue")
	for _, s := range spellings() {
		if strings.Contains(trace, s) {
			return
		}
	}
	t.Errorf("the secret was not found in:\n%s", trace)
}

// traceOf runs the case in a process, which must die, and returns its output.
func traceOf(t *testing.T, test, name string) string {
	t.Helper()
	child := exec.Command(os.Args[0], "-test.run=^"+test+"$")
	child.Env = append(os.Environ(), traceCase+"="+name, "GOTRACEBACK=all")
	out, err := child.CombinedOutput()
	if err == nil || !bytes.Contains(out, []byte("\ngoroutine ")) {
		t.Fatalf("the process did not panic: %v\n%s", err, out)
	}
	return string(out)
}
