package lab

import (
	"bufio"
	"io"
	"net"
	"strings"
	"time"
)

// Daemon is the one process of a host that has a program's name. It serves wg0.
type Daemon struct {
	Host *Host
	PID  int // on the host
}

// StartDaemon starts a program that Build or BuildFrom built, for wg0. It logs
// errors only, and finds nothing in its environment but what every command on a
// host does.
func (h *Host) StartDaemon(program string) *Daemon {
	h.t.Helper()
	// A daemon that logs keeps its parent's output open, so that is a file.
	h.Must("LOG_LEVEL=error %s wg0 >>%s 2>&1 || { cat %s >&2; false; }", program, logFile, logFile)
	return h.Daemon(program)
}

// Daemon finds a program that was started before.
func (h *Host) Daemon(program string) *Daemon {
	h.t.Helper()
	pids := h.PIDs(program)
	if len(pids) != 1 {
		h.t.Fatalf("host %s has the processes %v named %s, want one", h.Name, pids, program)
	}
	return &Daemon{h, pids[0]}
}

// Stat is what it has used so far.
func (d *Daemon) Stat() Stat {
	d.Host.t.Helper()
	s, err := d.Host.Stat(d.PID)
	if err != nil {
		d.Host.t.Fatalf("host %s: the daemon is gone: %v", d.Host.Name, err)
	}
	return s
}

// Set configures it, with lines of the control socket's language.
func (d *Daemon) Set(lines ...string) {
	d.Host.t.Helper()
	d.Ask("set=1\n" + strings.Join(lines, "\n") + "\n\n")
}

// Ask sends a request to its control socket and reads the whole answer, which
// must not be an error: how many lines, and how long all of it took.
func (d *Daemon) Ask(request string) (lines int, took time.Duration) {
	d.Host.t.Helper()
	fatal := func(what string, err error) {
		d.Host.t.Helper()
		d.Host.t.Fatalf("host %s, the daemon's control socket: %s: %v", d.Host.Name, what, err)
	}
	begun := time.Now()
	// Not below /var/run: that is a link, which would lead to this machine's /run.
	conn, err := net.Dial("unix", d.Host.Path("/run/wireguard/wg0.sock"))
	if err != nil {
		fatal("nobody is there", err)
	}
	defer conn.Close()
	conn.SetDeadline(begun.Add(5 * time.Minute))
	if _, err := io.WriteString(conn, request); err != nil {
		fatal("the request", err)
	}
	answer, errno := bufio.NewScanner(conn), ""
	for answer.Scan() && answer.Text() != "" {
		lines++
		if number, ok := strings.CutPrefix(answer.Text(), "errno="); ok {
			errno = number
		}
	}
	switch {
	case errno == "":
		fatal("no answer, or half of one", answer.Err())
	case errno != "0":
		d.Host.t.Fatalf("host %s: the daemon refuses a request with errno %s", d.Host.Name, errno)
	}
	return lines, time.Since(begun)
}
