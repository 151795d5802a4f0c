package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"wgd/test/lab"
)

// unjoinedEnv makes this program execute the command in its arguments with a seccomp
// filter that refuses every writev(2) of several pieces.
const unjoinedEnv = "WGD_E2E_REFUSE_WRITEV"

func becomeFiltered() {
	if os.Getenv(unjoinedEnv) == "" {
		return
	}
	os.Unsetenv(unjoinedEnv)
	err := refuseWritev()
	if err == nil {
		var path string
		if path, err = exec.LookPath(os.Args[1]); err == nil {
			err = unix.Exec(path, os.Args[1:], os.Environ())
		}
	}
	fmt.Fprintln(os.Stderr, "with the filter:", err)
	os.Exit(1)
}

func refuseWritev() error {
	const number, third, allow, refuse = 0, 32, unix.SECCOMP_RET_ALLOW, unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM)
	filter := []unix.SockFilter{ // offsets into struct seccomp_data, little-endian
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: number},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: unix.SYS_WRITEV, Jf: 3},
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: third},
		{Code: unix.BPF_JMP | unix.BPF_JGT | unix.BPF_K, K: 1, Jf: 1},
		{Code: unix.BPF_RET | unix.BPF_K, K: refuse},
		{Code: unix.BPF_RET | unix.BPF_K, K: allow},
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	_, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_TSYNC, uintptr(unsafe.Pointer(&program)))
	if errno != 0 {
		return errno
	}
	return nil
}

// If the kernel refuses super-packets, all packets arrive, one by one.
func TestJoinedWritesRefused(t *testing.T) {
	t.Parallel()
	a, b := lab.NewHost(t, "a"), lab.NewHost(t, "b")
	lab.Link(a, "eth0", []string{"192.0.2.1/24"}, b, "eth0", []string{"192.0.2.2/24"})
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	ta, _ := lab.Connect(a, b, "192.0.2.1:1234", lab.Settings{Wrapper: unjoinedEnv + "=1 " + self}, lab.Settings{})
	a.Sink(4000)
	for _, to := range []string{lab.InnerA4, lab.InnerA6} {
		got := b.Stream(lab.Stream{Remote: addrPort(netJoin(to, 4000)), Bytes: 20 << 20, Wait: 30 * time.Second})
		t.Logf("%v: %.0f Mbit/s", to, got.Bits()/1e6)
	}
	if c := ta.Counts(); len(c.Drops) > 0 || c.Counters["unjoined"] == 0 {
		t.Errorf("dropped: %v, counted: %v; want some unjoined, and nothing dropped", c.Drops, c.Counters)
	}
}

// While offloads of the interface of the tunnel and of the one below it are turned off
// and on, on both sides, a stream arrives: nothing is lost in the tunnel, and no
// checksum is wrong.
func TestOffloadsWithdrawn(t *testing.T) {
	t.Parallel()
	a, b := lab.NewHost(t, "a"), lab.NewHost(t, "b")
	lab.Link(a, "eth0", []string{"192.0.2.1/24"}, b, "eth0", []string{"192.0.2.2/24"})
	ta, tb := lab.Connect(a, b, "192.0.2.1:1234", lab.Settings{}, lab.Settings{})
	a.Sink(4000)
	ended := make(chan error, 1)
	go func() {
		_, err := b.TryStream(lab.Stream{Remote: addrPort(lab.InnerA4 + ":4000"), Time: 3 * time.Second, Wait: 30 * time.Second})
		ended <- err
	}()
	for _, name := range []string{"wg0", "eth0"} {
		for _, offload := range []string{"tso", "gso", "tx", "sg", "gro"} {
			for _, on := range []bool{false, true} {
				for _, h := range []*lab.Host{a, b} {
					h.SetOffload(name, offload, on)
				}
				time.Sleep(100 * time.Millisecond)
			}
		}
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
	for _, tun := range []*lab.Tunnel{ta, tb} {
		if c := tun.Counts(); len(c.Drops) > 0 || len(c.Counters) > 0 {
			t.Errorf("dropped: %v, counted: %v, want none of either", c.Drops, c.Counters)
		}
	}
	if wrong := tcpChecksumErrors(a); wrong != "0" {
		t.Errorf("%s segments arrived with a wrong checksum", wrong)
	}
}
