package tun

import (
	"fmt"
	"net"
	"os"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"wgd/internal/sys/netns/netnstest"
)

// A landing is an interface, and a socket of the host where what is written arrives.
type landing struct {
	opened
	conn net.PacketConn
}

func newLanding(t testing.TB, o Options) landing {
	t.Helper()
	ownNetwork(t)
	l := landing{opened: create(t, "wgtest", o)}
	up(t, "wgtest", 1420, "10.9.0.1/24")
	conn, err := net.ListenPacket("udp4", "10.9.0.1:7777")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.(*net.UDPConn).SetReadBuffer(4 << 20)
	l.conn = conn
	return l
}

func (l landing) writeEach(frames [][]byte) (failed int) {
	return l.output.(*writer).WriteEach(frames)
}

// words are frames with that many different words in them.
func words(n int) (frames [][]byte) {
	for i := range n {
		frames = append(frames, append(make([]byte, HeaderSize), ipv4UDP(7777, fmt.Append(nil, "word ", i))...))
	}
	return frames
}

// arrived expects the words in their order.
func (l landing) arrived(t *testing.T, first, n int) {
	t.Helper()
	b := make([]byte, 100)
	l.conn.SetReadDeadline(time.Now().Add(5 * time.Second))
	for i := first; i < first+n; i++ {
		n, _, err := l.conn.ReadFrom(b)
		if want := fmt.Sprint("word ", i); err != nil || string(b[:n]) != want {
			t.Fatalf("%q, %v, want %q", b[:n], err, want)
		}
	}
}

// needRing fails the test, or leaves it out, where the kernel gives no rings, or none
// whose writes to a TUN do not wait (before Linux 6.4).
func needRing(t testing.TB) {
	r, err := newRing()
	if err != nil {
		netnstest.LeaveOut(t, "io_uring", err)
	}
	defer r.close()
	fd, err := unix.Open(driver, unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		netnstest.LeaveOut(t, "a TUN device", err)
	}
	defer unix.Close(fd)
	var errnos [ringSize]syscall.Errno
	if r.writeAll(uintptr(fd), words(1), errnos[:]); errnos[0] == unix.EOPNOTSUPP {
		netnstest.LeaveOut(t, "Linux 6.4", errnos[0])
	}
}

// Any number of frames arrives in order, with rings and without, and with and without
// virtio headers.
func TestWriteEach(t *testing.T) {
	for _, o := range []Options{{}, {NoVnetHdr: true}, {Queues: 2}} {
		for _, refuse := range []bool{false, true} {
			t.Run(fmt.Sprintf("%+v/%v", o, refuse), func(t *testing.T) {
				l := newLanding(t, o)
				l.write.rings.refuse = refuse
				for _, n := range []int{0, 1, 3, 4, ringSize - 1, ringSize, ringSize + 1, 2*ringSize + 2} {
					if failed := l.writeEach(words(n)); failed != 0 {
						t.Fatalf("%d of %d frames failed", failed, n)
					}
					l.arrived(t, 0, n)
				}
			})
		}
	}
}

// A ring does write them, and stays for the next time.
func TestRingIsUsed(t *testing.T) {
	needRing(t)
	l := newLanding(t, Options{})
	l.writeEach(words(3))
	if l.write.rings.open != 0 {
		t.Error("a ring was opened for three frames")
	}
	for range 5 {
		l.writeEach(words(8))
	}
	if r := &l.write.rings; r.open != 1 || len(r.free) != 1 {
		t.Errorf("%d rings, %d of them free", r.open, len(r.free))
	}
	l.arrived(t, 0, 3)
	l.arrived(t, 0, 8)
	if head, tail := *l.write.rings.free[0].sqHead, *l.write.rings.free[0].sqTail; head != 40 || tail != 40 {
		t.Errorf("the kernel has taken %d of %d writes", head, tail)
	}
}

// Frames that the kernel refuses are counted, and the others arrive.
func TestWriteEachCountsFailures(t *testing.T) {
	l := newLanding(t, Options{})
	frames := words(12)
	frames[3] = append(make([]byte, HeaderSize), 0xf0, 1, 2, 3) // no IP
	frames[7] = make([]byte, HeaderSize)
	for range 2 {
		if failed := l.writeEach(frames); failed != 2 {
			t.Errorf("%d failed, want 2", failed)
		}
		for _, part := range [][2]int{{0, 3}, {4, 3}, {8, 4}} {
			l.arrived(t, part[0], part[1])
		}
	}
	frames[7] = nil
	if failed := l.writeEach(frames); failed != 2 {
		t.Errorf("%d failed, want 2", failed)
	}
	if l.write.rings.refuse {
		t.Error("rings count as refused")
	}
}

// While the interface is down all frames fail; afterwards they arrive.
func TestWriteEachWhileDown(t *testing.T) {
	l := newLanding(t, Options{})
	ip(t, "link set wgtest down")
	if failed := l.writeEach(words(9)); failed != 9 {
		t.Errorf("%d failed, want 9", failed)
	}
	ip(t, "link set wgtest up")
	if failed := l.writeEach(words(9)); failed != 0 {
		t.Errorf("%d failed", failed)
	}
	l.arrived(t, 0, 9)
}

// If the kernel takes frames one by one that it refuses of a ring, there are no rings
// any more, and nothing is lost.
func TestRingIsGivenUp(t *testing.T) {
	needRing(t)
	l := newLanding(t, Options{})
	w := l.output.(*writer)
	frames := words(8)
	for i := range frames {
		w.errnos[i] = syscall.EINVAL
	}
	if failed := w.again(frames); failed != 0 {
		t.Errorf("%d failed", failed)
	}
	l.arrived(t, 0, 8)
	if !l.write.rings.refuse || w.queue.rings.take() != nil {
		t.Error("there are rings")
	}
	l.writeEach(frames)
	l.arrived(t, 0, 8)
}

// A ring whose descriptor does not work loses nothing: the writes are taken back, and
// there are no rings any more.
func TestRingThatFails(t *testing.T) {
	needRing(t)
	for name, broken := range map[string]func(t *testing.T, r *ring){
		"EOPNOTSUPP": func(t *testing.T, r *ring) {
			null, err := os.Open(os.DevNull)
			if err != nil {
				t.Fatal(err)
			}
			defer null.Close()
			if err := unix.Dup3(int(null.Fd()), r.fd, unix.O_CLOEXEC); err != nil {
				t.Fatal(err)
			}
		},
		"EBADF": func(t *testing.T, r *ring) {
			unix.Close(r.fd)
			r.fd = -1
		},
	} {
		t.Run(name, func(t *testing.T) { testRingThatFails(t, broken) })
	}
}

func testRingThatFails(t *testing.T, broken func(*testing.T, *ring)) {
	l := newLanding(t, Options{})
	r, err := newRing()
	if err != nil {
		t.Fatal(err)
	}
	broken(t, r)
	var errnos [ringSize]syscall.Errno
	if r.writeAll(0, words(20), errnos[:]); errnos[0] == 0 || errnos[19] == 0 || errnos[20] != 0 {
		t.Errorf("%v", errnos)
	}
	if *r.sqHead != *r.sqTail {
		t.Error("writes remain in the ring")
	}
	l.write.rings.free, l.write.rings.open = []*ring{r}, 1
	if failed := l.writeEach(words(20)); failed != 0 {
		t.Errorf("%d failed", failed)
	}
	l.arrived(t, 0, 20)
	if !l.write.rings.refuse {
		t.Error("the ring stays in use")
	}
}

// The interface may come up between the write of a ring and the one that is tried again:
// that says nothing about rings.
func TestRingIsKept(t *testing.T) {
	needRing(t)
	l := newLanding(t, Options{})
	w := l.output.(*writer)
	frames := words(8)
	for i := range frames {
		w.errnos[i] = []syscall.Errno{unix.EIO, unix.EAGAIN, unix.ENOMEM, unix.ENOBUFS}[i%4]
	}
	if failed := w.again(frames); failed != 0 || w.queue.rings.refuse {
		t.Errorf("%d failed, rings refused: %v", failed, w.queue.rings.refuse)
	}
}

// A descriptor has no room for the writes of a ring: they come back at once.
func TestRingDoesNotWait(t *testing.T) {
	needRing(t)
	var pipe [2]int
	if err := unix.Pipe2(pipe[:], unix.O_NONBLOCK|unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	defer unix.Close(pipe[0])
	defer unix.Close(pipe[1])
	for full := make([]byte, 1<<16); ; {
		if _, err := unix.Write(pipe[1], full); err == unix.EAGAIN {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	r, err := newRing()
	if err != nil {
		t.Fatal(err)
	}
	defer r.close()
	var errnos [ringSize]syscall.Errno
	r.writeAll(uintptr(pipe[1]), words(5), errnos[:])
	for _, errno := range errnos[:5] {
		if errno != unix.EAGAIN {
			t.Fatalf("%v", errnos[:5])
		}
	}
}

// Positions wrap around at 2^32, also where an int has 32 bits.
func TestSlot(t *testing.T) {
	for position, want := range map[uint32]uint32{0: 0, 63: 63, 64: 0, 1<<31 - 1: 63, 1 << 31: 0, 1<<31 + 1: 1, 1<<32 - 1: 63} {
		if got := slot(position, 64); got != want {
			t.Errorf("position %d has slot %d, want %d", position, got, want)
		}
	}
}

// Package dataplane looks for this method.
func TestWritersImplementWriteEach(t *testing.T) {
	var w Writer = &writer{}
	if _, ok := w.(interface{ WriteEach([][]byte) int }); !ok {
		t.Error("package dataplane does not find WriteEach")
	}
}

// Several writers at a time have a ring each, up to a number, and lose nothing when the
// interface is closed meanwhile.
func TestRingsOfManyWriters(t *testing.T) {
	needRing(t)
	l := newLanding(t, Options{Queues: 2})
	var wait sync.WaitGroup
	stop, written := make(chan struct{}), make(chan struct{}, 2*maxRings)
	for range 2 * maxRings {
		w := l.NewWriter().(*writer)
		wait.Go(func() {
			frames := words(8)
			w.WriteEach(frames)
			written <- struct{}{}
			for {
				select {
				case <-stop:
					return
				default:
					w.WriteEach(frames)
				}
			}
		})
	}
	<-written
	l.device.Close()
	close(stop)
	wait.Wait()
	r := &l.write.rings
	if r.open == 0 || r.open > maxRings || len(r.free) != 0 || r.take() != nil {
		t.Errorf("%d rings, %d of them free", r.open, len(r.free))
	}
}

// BenchmarkWriteEach writes frames that the host drops.
func BenchmarkWriteEach(b *testing.B) {
	for _, size := range []int{100, 1420} {
		for _, n := range []int{1, 4, 8, 32} {
			for _, how := range []string{"one by one", "ring"} {
				b.Run(fmt.Sprintf("%d/%d/%s", size, n, how), func(b *testing.B) {
					l := newLanding(b, Options{})
					l.conn.Close()
					ip(b, "link set wgtest mtu 1500")
					ip(b, "address flush dev wgtest")
					l.write.rings.refuse = how != "ring"
					var frames [][]byte
					for range n {
						frames = append(frames, append(make([]byte, HeaderSize), ipv4UDP(7777, make([]byte, size-28))...))
					}
					var before, after unix.Rusage
					unix.Getrusage(unix.RUSAGE_THREAD, &before)
					for b.Loop() {
						if l.writeEach(frames) != 0 {
							b.Fatal("frames are lost")
						}
					}
					unix.Getrusage(unix.RUSAGE_THREAD, &after)
					cpu := after.Utime.Nano() + after.Stime.Nano() - before.Utime.Nano() - before.Stime.Nano()
					b.ReportMetric(float64(cpu)/float64(b.N)/float64(n), "cpu-ns/packet")
				})
			}
		}
	}
}

// Where a filter of system calls refuses one of the two that rings need, as in many
// containers, packets are written without rings, and none is lost.
func TestRingIsForbidden(t *testing.T) {
	needRing(t)
	for name, number := range map[string]uint32{"io_uring_setup": unix.SYS_IO_URING_SETUP, "io_uring_enter": unix.SYS_IO_URING_ENTER} {
		t.Run(name, func(t *testing.T) {
			l := newLanding(t, Options{})
			result := make(chan error)
			go func() { // on a thread that ends afterwards, with its filter
				runtime.LockOSThread()
				if err := forbid(number); err != nil {
					result <- err
					return
				}
				for range 2 {
					if failed := l.writeEach(words(8)); failed != 0 {
						result <- fmt.Errorf("%d of 8 frames failed", failed)
						return
					}
				}
				result <- nil
			}()
			if err := <-result; err != nil {
				t.Fatal(err)
			}
			l.arrived(t, 0, 8)
			l.arrived(t, 0, 8)
			if !l.write.rings.refuse {
				t.Error("rings are tried again")
			}
		})
	}
}

// forbid makes a system call fail with EPERM, for the calling thread.
func forbid(number uint32) error {
	filter := []unix.SockFilter{ // the number of the call is the first word of struct seccomp_data
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: 0},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: number, Jf: 1},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM)},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	if _, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, 0, uintptr(unsafe.Pointer(&program))); errno != 0 {
		return errno
	}
	return nil
}
