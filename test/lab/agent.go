package lab

import (
	"fmt"
	"net"
	"net/rpc"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Nothing is the argument or the result of a call that has none.
type Nothing struct{ None bool } // gob sends no struct without fields

// The Agent of a host has the methods that a test calls there, over net/rpc. It
// numbers what it opens.
type Agent struct {
	mu     sync.Mutex
	next   int
	opened map[int]any
}

// runAgent is process 1 of a host.
func runAgent() {
	if err := prepareHost(os.Getenv(agentEnv)); err != nil {
		fmt.Fprintln(os.Stderr, "host:", err)
		os.Exit(1)
	}
	go reap()
	file := os.NewFile(3, "lab")
	conn, err := net.FileConn(file)
	if err != nil {
		fmt.Fprintln(os.Stderr, "host:", err)
		os.Exit(1)
	}
	file.Close() // now, not by a finalizer, when the descriptor is that of another file
	server := rpc.NewServer()
	if err := server.Register(&Agent{opened: map[int]any{}}); err != nil {
		fmt.Fprintln(os.Stderr, "host:", err)
		os.Exit(1)
	}
	server.ServeConn(conn) // until the test closes it, or ends
}

// prepareHost mounts the files of the host and brings its loopback up.
func prepareHost(name string) error {
	steps := []struct {
		what string
		do   func() error
	}{
		{"private mounts", func() error { return unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, "") }},
		{"/proc", func() error { return unix.Mount("proc", "/proc", "proc", 0, "") }},
		{"/sys", func() error { return unix.Mount("sysfs", "/sys", "sysfs", 0, "") }},
		{"/run", func() error { return unix.Mount("run", "/run", "tmpfs", 0, "mode=755") }},
		{"/var/lib", func() error { return unix.Mount("lib", "/var/lib", "tmpfs", 0, "mode=755") }},
		{"/etc", ownEtc},
		{"host name", func() error { return unix.Sethostname([]byte(name)) }},
		{"loopback", loopbackUp},
	}
	for _, s := range steps {
		if err := s.do(); err != nil {
			return fmt.Errorf("%s: %w", s.what, err)
		}
	}
	// IPv6 addresses are usable at once, and the kernel solicits no routers.
	for _, dir := range []string{"all", "default"} {
		os.WriteFile("/proc/sys/net/ipv6/conf/"+dir+"/accept_dad", []byte("0"), 0o644)
		os.WriteFile("/proc/sys/net/ipv6/conf/"+dir+"/router_solicitations", []byte("0"), 0o644)
	}
	return nil
}

// ownEtc mounts an overlay on /etc, so that the host can write below it without
// changing the machine's. /etc/wg and /etc/wireguard are empty.
func ownEtc() error {
	for _, dir := range []string{"/run/.etc", "/run/.etc/upper", "/run/.etc/work"} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			return err
		}
	}
	err := unix.Mount("etc", "/etc", "overlay", 0, "lowerdir=/etc,upperdir=/run/.etc/upper,workdir=/run/.etc/work")
	if err != nil {
		return err
	}
	for _, dir := range []string{"/etc/wg", "/etc/wireguard"} {
		if err := os.RemoveAll(dir); err != nil {
			return err
		}
		if err := os.Mkdir(dir, 0o700); err != nil {
			return err
		}
	}
	return nil
}

func loopbackUp() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	req, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	req.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	return unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, req)
}

// reap waits for processes that have ended. Daemons are children of the agent after
// their parents have exited.
func reap() {
	died := make(chan os.Signal, 64)
	signal.Notify(died, syscall.SIGCHLD)
	tick := time.NewTicker(time.Second)
	for {
		for {
			pid, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil)
			if pid <= 0 || err != nil {
				break
			}
		}
		select {
		case <-died:
		case <-tick.C:
		}
	}
}

// keep returns the number of something that was opened.
func (g *Agent) keep(v any) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.next++
	g.opened[g.next] = v
	return g.next
}

// opened returns what has a number.
func opened[V any](g *Agent, id int) (V, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	v, ok := g.opened[id].(V)
	if !ok {
		return v, fmt.Errorf("there is no %T with the number %d", v, id)
	}
	return v, nil
}

// Ready returns once the host has booted.
func (g *Agent) Ready(Nothing, *Nothing) error { return nil }

// call calls a method of a host's agent. An error ends the test.
func call[A, R any](h *Host, method string, args A) R {
	h.t.Helper()
	r, err := ask[A, R](h, method, args)
	if err != nil {
		h.t.Fatalf("host %s, %s(%+v): %v", h.Name, method, args, err)
	}
	return r
}

// ask calls a method of a host's agent.
func ask[A, R any](h *Host, method string, args A) (R, error) {
	var r R
	err := h.rpc.Call("Agent."+method, args, &r)
	return r, err
}
