package lab

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"strings"
	"time"
)

// A Daemon is the only process of its program on a host. It serves wg0.
type Daemon struct {
	Host *Host
	PID  int // on the host
}

// StartDaemon starts a program that Build or BuildFrom built, for wg0. It logs
// errors only, and has the same environment as every command on a host.
func (h *Host) StartDaemon(program string) *Daemon {
	h.t.Helper()
	// A daemon that logs keeps the output of its parent open, so use a file.
	h.Must("LOG_LEVEL=error %s wg0 >>%s 2>&1 || { cat %s >&2; false; }", program, logFile, logFile)
	return h.Daemon(program)
}

// Daemon returns the running daemon of a program.
func (h *Host) Daemon(program string) *Daemon {
	h.t.Helper()
	var pids []int
	Until(h.t, 30*time.Second, fmt.Sprintf("host %s has one process named %s", h.Name, program), func() (bool, string) {
		pids = h.PIDs(program) // the command that has started it may not have ended yet
		return len(pids) == 1, fmt.Sprint("the processes ", pids)
	})
	return &Daemon{h, pids[0]}
}

// Stat returns what the daemon has used so far.
func (d *Daemon) Stat() Stat {
	d.Host.t.Helper()
	s, err := d.Host.Stat(d.PID)
	if err != nil {
		d.Host.t.Fatalf("host %s: the daemon is gone: %v", d.Host.Name, err)
	}
	return s
}

// Kill kills the daemon and waits until it is gone. Its interface disappears before its
// sockets are closed, so a daemon that is started as soon as the interface is gone
// may find the port taken.
func (d *Daemon) Kill() {
	d.Host.t.Helper()
	d.Host.Must("kill -9 %d", d.PID)
	Until(d.Host.t, 10*time.Second, "the killed daemon is gone", func() (bool, string) {
		_, err := d.Host.Stat(d.PID)
		return errors.Is(err, fs.ErrNotExist), fmt.Sprint(err)
	})
}

// Set configures the daemon with lines of the control socket's language.
func (d *Daemon) Set(lines ...string) {
	d.Host.t.Helper()
	d.Ask("set=1\n" + strings.Join(lines, "\n") + "\n\n")
}

// Ask sends a request to the control socket and reads the answer. It returns the
// number of lines of the answer and how long all of it took. If the daemon returns
// an error, the test fails.
func (d *Daemon) Ask(request string) (lines int, took time.Duration) {
	d.Host.t.Helper()
	fatal := func(what string, err error) {
		d.Host.t.Helper()
		d.Host.t.Fatalf("host %s, the daemon's control socket: %s: %v", d.Host.Name, what, err)
	}
	begun := time.Now()
	// Not below /var/run: that is a symbolic link, which would lead to /run of this
	// machine.
	conn, err := net.Dial("unix", d.Host.Path("/run/wireguard/wg0.sock"))
	if err != nil {
		fatal("connecting", err)
	}
	defer conn.Close()
	conn.SetDeadline(begun.Add(5 * time.Minute))
	if _, err := io.WriteString(conn, request); err != nil {
		fatal("sending the request", err)
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
		fatal("the answer is incomplete", answer.Err())
	case errno != "0":
		d.Host.t.Fatalf("host %s: the daemon refuses a request with errno %s", d.Host.Name, errno)
	}
	return lines, time.Since(begun)
}
