package tun

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

func TestNames(t *testing.T) {
	for _, good := range []string{"wg0", "a", "fifteen-bytes-x", "wg.0_1-2", "\"q\""} {
		if err := CheckName(good); err != nil {
			t.Error(err)
		}
	}
	for _, bad := range []string{"", ".", "..", "sixteen-bytes-xx", "a/b", "a b", "a:b", "a\n", "wg%d", "wg\x00", "ä"} {
		err := CheckName(bad)
		if !errors.Is(err, ErrBadName) || !strings.Contains(err.Error(), "interface name") {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func FuzzName(f *testing.F) {
	f.Add("wg0")
	f.Add("../x")
	f.Fuzz(func(t *testing.T, name string) {
		if CheckName(name) == nil && (name == "" || len(name) > MaxName || strings.ContainsAny(name, "/: \n%\x00")) {
			t.Fatalf("%q passed", name)
		}
	})
}

func TestErrorsKeepKindAndCause(t *testing.T) {
	err := fmt.Errorf("start: %w", &Error{Text: "x", Kind: ErrPermission, Cause: os.ErrPermission})
	if !errors.Is(err, ErrPermission) || !errors.Is(err, os.ErrPermission) {
		t.Fatal(err)
	}
}

func TestFake(t *testing.T) {
	f := NewFake("wg0", 1420)
	b := make([]byte, BufferSize)
	if _, ok, err := f.TryRead(b); ok || err != nil {
		t.Fatal("read from an empty interface")
	}
	f.Inject([]byte{0x45, 1, 2})
	if n, err := f.Read(b); n != HeaderSize+3 || err != nil || b[HeaderSize] != 0x45 {
		t.Fatal(n, err)
	}
	if err := f.Write([][]byte{make([]byte, HeaderSize), {0x45}, {7}}); err != nil {
		t.Fatal(err)
	}
	if raw, ok := f.Next(time.Second); !ok || len(raw) != HeaderSize+2 || raw[HeaderSize+1] != 7 {
		t.Fatal(raw, ok)
	}
	f.SetDown(true)
	if err := f.Write([][]byte{make([]byte, HeaderSize+20)}); err != ErrDown {
		t.Fatal(err)
	}
	f.Delete()
	if _, err := f.Read(b); err != ErrGone {
		t.Fatal(err)
	}
	f.Close()
	if _, err := f.Read(b); err != os.ErrClosed {
		t.Fatal(err)
	}
}
