package tun

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"wgd/internal/sys/netns/netnstest"
)

// multiQueue creates an interface with several queues, up, with 10.9.0.1.
func multiQueue(t testing.TB, queues int, o Options) opened {
	t.Helper()
	ownNetwork(t)
	o.Queues = queues
	d, err := Create("wgtest", o)
	if errors.Is(err, ErrNoDriver) || errors.Is(err, ErrPermission) {
		netnstest.LeaveOut(t, "a TUN device, and so root", err)
	}
	if err != nil || d.Caps().Queues != queues {
		t.Fatalf("Create with %d queues: %v, %v", queues, d, err)
	}
	t.Cleanup(func() { d.Close() })
	up(t, "wgtest", 1420, "10.9.0.1/24")
	return openFirst(d)
}

// flows opens n sockets on 10.9.0.1.
func flows(t testing.TB, n int) (list []*net.UDPConn) {
	t.Helper()
	for i := range n {
		c, err := net.DialUDP("udp4", &net.UDPAddr{IP: net.IPv4(10, 9, 0, 1), Port: 20000 + i}, &net.UDPAddr{IP: net.IPv4(10, 9, 0, 2), Port: 9})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		list = append(list, c)
	}
	return list
}

// sendAll sends one packet of each flow, with the word and the flow's number.
func sendAll(t testing.TB, list []*net.UDPConn, word string) {
	t.Helper()
	for i, c := range list {
		if _, err := fmt.Fprintf(c, "%s %03d", word, i); err != nil {
			t.Fatal(err)
		}
	}
}

// receiveAll reads all queues. It returns for each flow in which queue its packet with
// the word was, or -1.
func receiveAll(t testing.TB, m opened, flows int, word string) []int {
	t.Helper()
	where := make([]int, flows)
	for i := range where {
		where[i] = -1
	}
	b := make([]byte, BufferSize)
	for q := range m.Caps().Queues {
		for {
			n, ok, err := m.Queue(q).TryRead(b)
			if err != nil {
				t.Fatal(err)
			}
			if !ok {
				break
			}
			var i int
			if at := strings.Index(string(b[:n]), word); at >= 0 {
				fmt.Sscanf(string(b[at+len(word):n]), "%d", &i)
				where[i] = q
			}
		}
	}
	return where
}

// queuesUsed counts the queues that had packets, and fails if a packet is missing.
func queuesUsed(t testing.TB, where []int) int {
	t.Helper()
	used := map[int]bool{}
	for i, q := range where {
		if used[q] = true; q < 0 {
			t.Fatalf("the packet of flow %d was lost", i)
		}
	}
	return len(used)
}

func TestSetQueues(t *testing.T) {
	for name, o := range map[string]Options{"all": {}, "no USO": {NoUSO: true}, "no TSO": {NoTSO: true}, "no header": {NoVnetHdr: true}} {
		t.Run(name, func(t *testing.T) {
			m := multiQueue(t, 4, o)
			list := flows(t, 60)
			for _, n := range []int{1, 4, 2, 3, 1, 4, 1} {
				if err := m.SetQueues(n); err != nil {
					t.Fatal(n, err)
				}
				sendAll(t, list, "first")
				before := receiveAll(t, m, len(list), "first")
				if used := queuesUsed(t, before); used != n {
					t.Errorf("%d queues had packets, want %d: %v", used, n, before)
				}
				sendAll(t, list, "second")
				if after := receiveAll(t, m, len(list), "second"); fmt.Sprint(before) != fmt.Sprint(after) {
					t.Errorf("flows moved among %d queues: from %v to %v", n, before, after)
				}
				if !m.SteerToFirst() {
					t.Fatal("SteerToFirst failed")
				}
				sendAll(t, list, "third")
				if where := receiveAll(t, m, len(list), "third"); queuesUsed(t, where) != 1 || where[0] != 0 {
					t.Errorf("packets are not in the first queue: %v", where)
				}
			}
			if ip(t, "link set wgtest txqueuelen 777"); m.QueueLength() != 777 {
				t.Errorf("QueueLength: got %d, want 777", m.QueueLength())
			}
			if m.SetQueues(0) == nil || m.SetQueues(5) == nil {
				t.Error("SetQueues accepted 0 or 5 of 4 queues")
			}
		})
	}
}

// Writes do not move flows to the queue of the writer.
func TestWritesDoNotMoveFlows(t *testing.T) {
	m := multiQueue(t, 4, Options{})
	list := flows(t, 40)
	if err := m.SetQueues(4); err != nil {
		t.Fatal(err)
	}
	sendAll(t, list, "before")
	before := receiveAll(t, m, len(list), "before")
	writers := []Writer{m, m.NewWriter(), m.NewWriter()}
	for i, c := range list {
		packet := append(make([]byte, HeaderSize), ipv4UDP(uint16(20000+i), []byte("answer"))...)
		if err := writers[i%len(writers)].Write([][]byte{packet[:HeaderSize], packet[HeaderSize:]}); err != nil {
			t.Fatal(err)
		}
		c.SetReadDeadline(time.Now().Add(5 * time.Second))
		if n, err := c.Read(make([]byte, 100)); err != nil || n != len("answer") {
			t.Fatalf("the answer has %d bytes, %v", n, err)
		}
	}
	sendAll(t, list, "after")
	if after := receiveAll(t, m, len(list), "after"); fmt.Sprint(before) != fmt.Sprint(after) || queuesUsed(t, after) != 4 {
		t.Errorf("flows moved from %v to %v", before, after)
	}
}

func TestWait(t *testing.T) {
	m := multiQueue(t, 2, Options{})
	if err := m.SetQueues(2); err != nil {
		t.Fatal(err)
	}
	receiveAll(t, m, 0, "the kernel's own packets")
	woken, ended := make(chan int), make(chan error)
	var closing atomic.Bool
	for q := range 2 {
		go func() {
			b := make([]byte, BufferSize)
			for {
				if err := m.Queue(q).Wait(); err != nil {
					ended <- err
					return
				}
				_, ok, err := m.Queue(q).TryRead(b)
				if closing.Load() && errors.Is(err, os.ErrClosed) { // closed between Wait and TryRead
					ended <- err
					return
				}
				if !ok || err != nil {
					t.Errorf("queue %d: Wait returned, but there is no packet: %v", q, err)
				}
				for ok {
					_, ok, _ = m.Queue(q).TryRead(b)
				}
				woken <- q
			}
		}()
	}
	list := flows(t, 40)
	for range 3 {
		sendAll(t, list, "wake")
		for was := -1; was < 1; { // until both queues had one
			if q := <-woken; q > was {
				was = q
			}
		}
	}
	closing.Store(true)
	go m.Close()
	for left := 2; left > 0; {
		select {
		case <-woken:
		case err := <-ended:
			if left--; !errors.Is(err, os.ErrClosed) {
				t.Error(err)
			}
		}
	}
}

// Close and a deletion end the reads of every queue, whether it is attached or not.
func TestCloseAndDeleteEndAllQueues(t *testing.T) { // A62
	for name, end := range map[string]func(*testing.T, opened) error{
		"closed":  func(_ *testing.T, m opened) error { m.Close(); return os.ErrClosed },
		"deleted": func(t *testing.T, _ opened) error { ip(t, "link delete wgtest"); return ErrGone },
	} {
		t.Run(name, func(t *testing.T) {
			m := multiQueue(t, 3, Options{})
			if err := m.SetQueues(2); err != nil {
				t.Fatal(err)
			}
			ended := make(chan error)
			for q := range 3 {
				go func() {
					b := make([]byte, BufferSize)
					for {
						if _, err := m.Queue(q).Read(b); err != nil {
							ended <- err
							return
						}
					}
				}()
			}
			w := m.NewWriter()
			time.Sleep(10 * time.Millisecond)
			want := end(t, m)
			for range 3 {
				if err := <-ended; !errors.Is(err, want) {
					t.Errorf("Read: got %v, want %v", err, want)
				}
			}
			packet := append(make([]byte, HeaderSize), ipv4UDP(1, nil)...)
			for _, w := range []Writer{m, w} {
				if err := w.Write([][]byte{packet}); !errors.Is(err, want) {
					t.Errorf("Write: got %v, want %v", err, want)
				}
			}
			if exists("wgtest") {
				t.Error("the interface still exists")
			}
		})
	}
}

// Only processes with CAP_NET_ADMIN can open an interface with several queues, although
// all users can open the driver.
func TestOtherUsersCannotAttach(t *testing.T) {
	multiQueue(t, 2, Options{})
	openDriverToAll(t)
	attach := func() error {
		d, err := open("wgtest", Options{}, unix.IFF_MULTI_QUEUE)
		if err == nil {
			d.Close()
		}
		return err
	}
	if err := attach(); err != nil { // root can open it
		t.Fatal(err)
	}
	// This thread, which ends with the test, becomes another user's.
	const nobody = 65534
	if _, _, errno := unix.RawSyscall(unix.SYS_SETRESUID, nobody, nobody, nobody); errno != 0 {
		t.Fatal(errno)
	}
	if err := attach(); !errors.Is(err, ErrPermission) {
		t.Errorf("another user: %v", err)
	}
}

// shared opens an interface twice, before it has an owner: for us and for another
// program.
func shared(t *testing.T) (first, other *device) {
	t.Helper()
	first, err := open("wgtest", Options{}, unix.IFF_MULTI_QUEUE)
	if err != nil {
		netnstest.LeaveOut(t, "a TUN device, and so root", err)
	}
	if other, err = open("wgtest", Options{}, unix.IFF_MULTI_QUEUE); err != nil {
		t.Fatal(err)
	}
	return first, other
}

// claim notices that another program opened the interface before it had an owner.
func TestClaimDetectsOthers(t *testing.T) {
	ownNetwork(t)
	for _, leave := range []bool{false, true} {
		first, other := shared(t)
		if leave { // detached queues count as well
			if err := other.queues[0].control(func(fd int) error { return setQueue(fd, unix.IFF_DETACH_QUEUE) }); err != nil {
				t.Fatal(err)
			}
		}
		if err := first.queues[0].control(func(fd int) error { return claim(fd, "wgtest") }); err != errNotAlone {
			t.Errorf("detached %v: %v", leave, err)
		}
		other.Close()
		if err := first.queues[0].control(func(fd int) error { return claim(fd, "wgtest") }); err != nil {
			t.Errorf("after the other program closed it: %v", err)
		}
		first.Close()
	}
}

// discard takes the interface from the other program, so the name is free for an
// interface with one queue.
func TestDiscardFreesTheName(t *testing.T) {
	ownNetwork(t)
	first, other := shared(t)
	defer other.Close()
	err := first.openRest("wgtest", Options{Queues: 2})
	if err != errNotAlone {
		t.Fatal(err)
	}
	first.discard("wgtest", err)
	d, err := Create("wgtest", Options{})
	if err != nil {
		t.Fatalf("the name is not free: %v", err)
	}
	d.Close()
}

// If the kernel refuses several queues, there is one.
func TestSingleQueueFallback(t *testing.T) {
	ownNetwork(t)
	create(t, "wgwarm", Options{}).Close()
	ip(t, "tuntap add name wgtest mode tun")
	d, err := Create("wgtest", Options{Existing: true, Queues: 4})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if c := d.Caps(); c.Queues != 1 || c.OneQueue == nil {
		t.Errorf("a persistent interface with one queue: %+v", c)
	}
	ip(t, "tuntap add name wgmany mode tun multi_queue")
	many, err := Create("wgmany", Options{Existing: true, Queues: 4})
	if err != nil {
		t.Fatal(err)
	}
	defer many.Close()
	if c := many.Caps(); c.Queues != 4 || c.OneQueue != nil {
		t.Errorf("%+v", c)
	}
	for _, o := range []Options{{Queues: 4}, {}} {
		if _, err := Create("wgtest", o); !errors.Is(err, ErrNameTaken) {
			t.Errorf("%+v: %v", o, err)
		}
	}
}

func FuzzParseConfiguration(f *testing.F) {
	f.Add([]byte{})
	f.Add(getLink(1))
	f.Fuzz(func(t *testing.T, b []byte) {
		if is, err := parseConfiguration(b); err != nil && is != (configuration{}) {
			t.Error(is, err)
		}
	})
}

// A Write waits until there is room.
func TestWriteWaitsForRoom(t *testing.T) {
	ownNetwork(t)
	d := create(t, "wgtest", Options{})
	up(t, "wgtest", 1420, "10.9.0.1/24")
	pc, err := net.ListenPacket("udp4", "10.9.0.1:7777")
	if err != nil {
		t.Fatal(err)
	}
	defer pc.Close()
	full := 1
	d.write.writev = func(fd uintptr, pieces []unix.Iovec) syscall.Errno {
		if full > 0 {
			full--
			return unix.EAGAIN
		}
		return writev(fd, pieces)
	}
	if err := d.Write([][]byte{make([]byte, HeaderSize), ipv4UDP(7777, []byte("late"))}); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, 100)
	pc.SetReadDeadline(time.Now().Add(5 * time.Second))
	if n, _, err := pc.ReadFrom(got); err != nil || string(got[:n]) != "late" || full != 0 {
		t.Errorf("%q, %v", got[:n], err)
	}
}
