package resolved

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"wgd/internal/asynctest"
	"wgd/internal/sys/netns/netnstest"
)

// A bus counts whether its socket has a path, also by a symbolic link, or an abstract name.
// Of several addresses, the first one that works is used.
func TestConnect(t *testing.T) {
	check := asynctest.CheckLeaks(t)
	t.Run("path", func(t *testing.T) {
		b := newBus(t, filepath.Join(t.TempDir(), "a bus"))
		newFake(t)
		link := filepath.Join(t.TempDir(), "link")
		if err := os.Symlink(b.socket, link); err != nil {
			t.Fatal(err)
		}
		for _, address := range []string{b.address, "unix:path=" + link, "unix:guid=0,path=" + link,
			"unix:path=/no/bus;tcp:host=127.0.0.1,port=1;" + b.address} {
			t.Setenv(addressVariable, address)
			if err := Answers(t.Context()); err != nil {
				t.Errorf("%s: %v", address, err)
			}
		}
	})
	t.Run("abstract name", func(t *testing.T) {
		newBus(t, fmt.Sprintf("@wgd-test-%d", os.Getpid()))
		newFake(t)
		if err := Answers(t.Context()); err != nil {
			t.Error(err)
		}
	})
	check()
}

// The bus of another network namespace does not count, though its socket can be reached:
// the systemd-resolved behind it has other links.
func TestBusOfAnotherNamespace(t *testing.T) {
	b := newBus(t, "")
	newFake(t)
	if err := Answers(t.Context()); err != nil {
		t.Error(err)
	}
	netnstest.Isolate(t)
	other, err := net.Listen("unix", filepath.Join(t.TempDir(), "other"))
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if err := Answers(t.Context()); !errors.Is(err, ErrNoBus) {
		t.Errorf("%s: Answers returns %v, want ErrNoBus", b.address, err)
	}
}

// An address that names no bus is an error that says why.
func TestNoBus(t *testing.T) {
	newBus(t, "") // there is another one
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	check := asynctest.CheckLeaks(t)
	for _, address := range []string{"unix:path=/no/bus", "unix:path=" + file, "unix:abstract=wgd-no-such-bus",
		"unix:path=relative", "unix:runtime=yes", "unix:", "tcp:host=127.0.0.1,port=1", "unix:path=%", "nonsense", ";"} {
		t.Setenv(addressVariable, address)
		if err := Answers(t.Context()); !errors.Is(err, ErrNoBus) {
			t.Errorf("%s: Answers returns %v, want ErrNoBus", address, err)
		}
	}
	check()
}

// Only sockets on which a program listens, and which have a path, are in the list.
func TestListeners(t *testing.T) {
	const table = `Num       RefCount Protocol Flags    Type St Inode Path
00000000b7b83b5e: 00000003 00000000 00000000 0001 03  1056
00000000b7b83b5f: 00000002 00000000 00010000 0001 01 23456 /run/dbus/system_bus_socket
00000000b7b83b60: 00000003 00000000 00000000 0001 03     7 /run/dbus/system_bus_socket2
00000000b7b83b61: 00000002 00000000 00010000 0001 01     8 @/abstract/name
00000000b7b83b62: 00000002 00000000 00010000 0005 01     9 /run/a name /b
`
	want := []string{"/run/dbus/system_bus_socket", "/run/a name /b"}
	if got := listeners(table); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := listeners("\n x /\nx: 1 1 zz /a"); len(got) > 0 {
		t.Errorf("got %q from nonsense, want nothing", got)
	}
}
