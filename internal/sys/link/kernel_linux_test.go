package link

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

// isolate puts the test into a network namespace of its own, on a thread that
// ends with the test.
func isolate(t *testing.T) {
	t.Helper()
	runtime.LockOSThread() // never unlocked
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skipf("NOT TESTED: %s needs a network namespace of its own, and so root: %v", t.Name(), err)
	}
}

// run runs ip(8) in the namespace of the test.
func run(t *testing.T, args ...string) {
	t.Helper()
	if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
		t.Fatalf("ip %v: %v\n%s", args, err, out)
	}
}

// tunFile is a TUN interface as the watcher's Device.
type tunFile struct{ f *os.File }

func newTUN(t *testing.T, name string) *tunFile {
	t.Helper()
	f, err := os.OpenFile("/dev/net/tun", os.O_RDWR, 0)
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skipf("NOT TESTED: %s needs /dev/net/tun: %v", t.Name(), err)
	}
	t.Cleanup(func() { f.Close() })
	request, err := unix.NewIfreq(name)
	if err != nil {
		t.Fatal(err)
	}
	request.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
	if err := unix.IoctlIfreq(int(f.Fd()), unix.TUNSETIFF, request); err != nil {
		t.Fatal(err)
	}
	return &tunFile{f}
}

func (d *tunFile) NetNS() (*os.File, error) {
	const tunGetDevNetNS = 0x54e3
	fd, _, errno := unix.Syscall(unix.SYS_IOCTL, d.f.Fd(), tunGetDevNetNS, 0)
	if errno != 0 {
		return nil, errno
	}
	return os.NewFile(fd, "netns"), nil
}

func (d *tunFile) Index() (int, error) {
	request, _ := unix.NewIfreq("x")
	if err := unix.IoctlIfreq(int(d.f.Fd()), unix.TUNGETIFF, request); err != nil {
		return 0, err
	}
	ns, err := d.NetNS()
	if err != nil {
		return 0, err
	}
	defer ns.Close()
	index := 0
	err = inNamespace(ns, func() error {
		links, err := Open()
		if err != nil {
			return err
		}
		defer links.Close()
		info, err := links.Get(request.Name())
		index = info.Index
		return err
	})
	return index, err
}

// otherNamespace makes a namespace and gives a path to it for ip(8).
func otherNamespace(t *testing.T) (ns *os.File, path string) {
	t.Helper()
	result := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // the thread ends here, the namespace lives by its file
		err := unix.Unshare(unix.CLONE_NEWNET)
		if err == nil {
			ns, err = os.Open("/proc/thread-self/ns/net")
		}
		result <- err
	}()
	if err := <-result; err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ns.Close() })
	return ns, fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), ns.Fd())
}
