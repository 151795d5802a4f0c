package link

import (
	"fmt"
	"os"
	"os/exec"
	"testing"

	"wgd/internal/sys/netns/netnstest"

	"golang.org/x/sys/unix"
)

// run runs ip(8) in the namespace of the test.
func run(t *testing.T, args ...string) {
	t.Helper()
	must(t, ip(args...))
}

// ip is run for goroutines other than the test's.
func ip(args ...string) error {
	if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
		return fmt.Errorf("ip %v: %w\n%s", args, err, out)
	}
	return nil
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

// Name returns "" if the interface is gone.
func (d *tunFile) Name() string {
	request, _ := unix.NewIfreq("x")
	if err := unix.IoctlIfreq(int(d.f.Fd()), unix.TUNGETIFF, request); err != nil {
		return ""
	}
	return request.Name()
}

// otherNamespace makes a namespace that exists as long as its file is open, and returns
// a path to it for ip(8). The test must be isolated.
func otherNamespace(t *testing.T) (ns *os.File, path string) {
	t.Helper()
	ns = netnstest.Another(t)
	return ns, fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), ns.Fd())
}
