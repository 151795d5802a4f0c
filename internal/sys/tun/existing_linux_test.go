package tun

import (
	"bytes"
	"errors"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"wgd/internal/sys/netns/netnstest"
)

// An interface that ip(8) created, and that no program has open, is taken over,
// whatever its kind, any number of times, and keeps its settings.
func TestTakeOver(t *testing.T) {
	ownNetwork(t)
	create(t, "wgwarm", Options{}).Close()
	for _, kind := range []string{"", "vnet_hdr", "pi", "one_queue", "multi_queue", "multi_queue vnet_hdr pi"} {
		for _, queues := range []int{0, 1, 4} {
			ip(t, "tuntap add name wgkept mode tun %s", kind)
			ip(t, "address add 10.9.0.1/24 dev wgkept")
			ip(t, "link set wgkept mtu 1300 up")
			if _, err := Create("wgkept", Options{Queues: queues}); !errors.Is(err, ErrNameTaken) {
				t.Fatalf("%q: taken over without Options.Existing: %v", kind, err)
			}
			for range 3 {
				d, err := Create("wgkept", Options{Existing: true, Queues: queues})
				if err != nil {
					t.Fatalf("%q, %d queues: %v", kind, queues, err)
				}
				if !d.Caps().Existed {
					t.Errorf("%q: Caps.Existed is false", kind)
				}
				packet := append(make([]byte, HeaderSize), ipv4UDP(9, []byte("in"))...)
				if err := d.NewWriter().Write([][]byte{packet}); err != nil {
					t.Errorf("%q: %v", kind, err)
				}
				if !receives(t, d.Queue(0)) {
					t.Errorf("%q, %d queues: no packet was read", kind, queues)
				}
				d.Close()
				if info, err := net.InterfaceByName("wgkept"); err != nil || info.MTU != 1300 || info.Flags&net.FlagUp == 0 {
					t.Fatalf("%q: after Close: %+v, %v, want it up, with MTU 1300", kind, info, err)
				}
			}
			ip(t, "link delete wgkept")
		}
	}
}

// receives reports whether packets to 10.9.0.2 arrive at the queue. The kernel takes
// a moment to notice that a program has opened the interface.
func receives(t *testing.T, d Queue) bool {
	t.Helper()
	const mark = "out to the tunnel"
	conn, err := net.Dial("udp4", "10.9.0.2:9")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	b := make([]byte, BufferSize)
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
		conn.Write([]byte(mark))
		for {
			n, ok, err := d.TryRead(b)
			if err != nil {
				t.Fatal(err)
			}
			if !ok {
				break
			}
			if bytes.Contains(b[:n], []byte(mark)) {
				return true
			}
		}
	}
	return false
}

// An interface that another program has open is refused, and that program is not
// affected.
func TestInterfaceInUse(t *testing.T) {
	ownNetwork(t)
	create(t, "wgwarm", Options{}).Close()
	for _, kind := range []string{"", "multi_queue"} {
		ip(t, "tuntap add name wgheld mode tun %s", kind)
		holder, err := Create("wgheld", Options{Existing: true})
		if err != nil {
			t.Fatal(err)
		}
		before, _ := inspect("wgheld")
		for _, queues := range []int{1, 4} {
			_, err = Create("wgheld", Options{Existing: true, Queues: queues})
			if !errors.Is(err, ErrNameTaken) || !strings.Contains(err.Error(), "another program has it open") {
				t.Errorf("%q, %d queues: %v", kind, queues, err)
			}
		}
		if after, _ := inspect("wgheld"); after != before {
			t.Errorf("%q: the configuration is %+v, was %+v", kind, after, before)
		}
		if holder.Name() != "wgheld" {
			t.Errorf("%q: the program that had it open has lost it", kind)
		}
		holder.Close()
		ip(t, "link delete wgheld")
	}
	ip(t, "tuntap add name wgtap mode tap")
	ip(t, "link add wgbridge type bridge")
	for _, name := range []string{"wgtap", "wgbridge"} {
		_, err := Create(name, Options{Existing: true, Queues: 4})
		if !errors.Is(err, ErrNameTaken) || strings.Contains(err.Error(), "open") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// An interface keeps its owner; other users cannot open it.
func TestOwnedInterface(t *testing.T) {
	ownNetwork(t)
	openDriverToAll(t)
	create(t, "wgwarm", Options{}).Close()
	const owner, nobody = 4711, 65534
	for _, kind := range []string{"", "multi_queue"} {
		ip(t, "tuntap add name wgowned%d mode tun user %d %s", len(kind), owner, kind)
	}
	ip(t, "tuntap add name wgfree mode tun multi_queue")
	for _, name := range []string{"wgowned0", "wgowned11", "wgfree"} {
		d, err := Create(name, Options{Existing: true, Queues: 4})
		if err != nil {
			t.Fatal(name, err)
		}
		d.Close()
	}
	as := func(user int) { // changes the user of this thread, which ends with the test
		t.Helper()
		// The saved user ID stays root's, to change back.
		if _, _, errno := unix.RawSyscall(unix.SYS_SETRESUID, uintptr(user), uintptr(user), 0); errno != 0 {
			t.Fatal(errno)
		}
	}
	try := func(name string) error {
		d, err := Create(name, Options{Existing: true, Queues: 1})
		if err == nil {
			d.Close()
		}
		return err
	}
	as(owner)
	for _, name := range []string{"wgowned0", "wgowned11"} {
		if err := try(name); err != nil {
			t.Errorf("the owner: %s: %v", name, err)
		}
	}
	as(0)
	as(nobody)
	for _, name := range []string{"wgowned0", "wgowned11", "wgfree"} { // also one that had no owner
		if err := try(name); !errors.Is(err, ErrPermission) || !strings.Contains(err.Error(), "belongs to") {
			t.Errorf("another user: %s: %v", name, err)
		}
	}
	as(0)
}

// openDriverToAll lets all users open the driver, as on most machines. Call it after
// ownNetwork: it affects the thread of the test only.
func openDriverToAll(t *testing.T) {
	t.Helper()
	err := unix.Unshare(unix.CLONE_NEWNS | unix.CLONE_FS)
	if err == nil {
		err = unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, "")
	}
	if err == nil {
		err = unix.Mount("tmpfs", filepath.Dir(driver), "tmpfs", 0, "mode=755")
	}
	if err == nil {
		err = unix.Mknod(driver, unix.S_IFCHR, int(unix.Mkdev(10, 200)))
	}
	if err == nil {
		err = unix.Chmod(driver, 0o666)
	}
	if err != nil {
		netnstest.LeaveOut(t, "a driver that all users can open", err)
	}
}
