package lab

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/rpc"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// commandTime is the default time limit of a command on a host.
const commandTime = 60 * time.Second

// A Host is a simulated machine.
type Host struct {
	Name string
	t    T
	cmd  *exec.Cmd
	rpc  *rpc.Client
	path string // PATH of its commands
}

// NewHost boots a host. It has only a loopback interface. It is removed when the test
// ends.
func NewHost(t T, name string) *Host {
	t.Helper()
	if text := os.Getenv(workEnv); text != "" {
		t.Fatalf("this program was started as a worker, and none of its crews has the role: %s", text)
	}
	b, err := Build()
	if err != nil {
		t.Fatalf("building what runs on the hosts: %v", err)
	}
	h := &Host{Name: name, t: t, path: b.Dir + ":/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
	if err := h.boot(); err != nil {
		t.Fatalf("host %s: %v", name, err)
	}
	t.Cleanup(func() {
		if h.cmd == nil {
			return
		}
		h.checkDaemonLog()
		if t.Failed() {
			h.logState()
		}
		h.Halt()
	})
	return h
}

// logFile is the file on the host with the output of its daemons.
const logFile = "/run/wgd.log"

// checkDaemonLog fails the test if a daemon crashed, or the race detector reported
// something.
func (h *Host) checkDaemonLog() {
	text, err := os.ReadFile(h.Path(logFile))
	if err != nil {
		return
	}
	for _, word := range []string{"DATA RACE", "panic:", "fatal error:"} {
		if strings.Contains(string(text), word) {
			h.t.Errorf("host %s: a daemon's log has %q", h.Name, word)
			return
		}
	}
}

func (h *Host) boot() error {
	pair, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	ours, theirs := os.NewFile(uintptr(pair[0]), "agent"), os.NewFile(uintptr(pair[1]), "agent")
	defer theirs.Close()
	conn, err := net.FileConn(ours)
	ours.Close()
	if err != nil {
		return err
	}
	h.cmd = exec.Command("/proc/self/exe")
	h.cmd.Env = append(os.Environ(), agentEnv+"="+h.Name)
	h.cmd.ExtraFiles = []*os.File{theirs}
	h.cmd.Stdout, h.cmd.Stderr = os.Stderr, os.Stderr
	h.cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWNET | syscall.CLONE_NEWNS | syscall.CLONE_NEWPID | syscall.CLONE_NEWUTS | syscall.CLONE_NEWIPC,
	}
	if err := h.cmd.Start(); err != nil {
		return err
	}
	h.rpc = rpc.NewClient(conn)
	return h.rpc.Call("Agent.Ready", Nothing{}, &Nothing{})
}

// Halt ends the host, and kills everything that runs on it.
func (h *Host) Halt() {
	if h.cmd == nil {
		return
	}
	h.rpc.Close()
	h.cmd.Process.Kill()
	h.cmd.Wait()
	h.cmd = nil
}

// logState logs the state of the host.
func (h *Host) logState() {
	for _, line := range []string{
		"ip -br addr; ip route; ip -6 route | grep -v fe80", "wg show all",
		"for i in $(wg show interfaces); do wgconfig $i show all --json; done", "tail -n 100 " + logFile,
	} {
		r := h.Run(line)
		h.t.Logf("host %s at the end# %s\n%s%s", h.Name, line, abridge(r.Out), r.Err)
	}
}

// abridge removes the middle of a long text, such as one about a thousand peers.
func abridge(text string) string {
	const end = 10_000
	if len(text) <= 2*end {
		return text
	}
	return fmt.Sprintf("%s\n[%d bytes]\n%s", text[:end], len(text)-2*end, text[len(text)-end:])
}

// PID returns the process ID of the agent on this machine. Its namespaces are those
// of the host.
func (h *Host) PID() int { return h.cmd.Process.Pid }

// Path returns the path on this machine of a file on the host.
func (h *Host) Path(file string) string {
	return filepath.Join("/proc", strconv.Itoa(h.PID()), "root", file)
}

// A Result is what a command returned.
type Result struct {
	Out, Err string
	Code     int // exit status; -1 if it was killed or did not end
	Took     time.Duration
}

// Run runs a line of shell script on the host.
func (h *Host) Run(line string) Result { return h.RunFor(commandTime, line, nil) }

// RunFor is like Run, with another time limit and with a standard input.
func (h *Host) RunFor(limit time.Duration, line string, stdin io.Reader) Result {
	return h.enter(limit, stdin, []string{"-n", "-m", "-p", "-u", "-i"}, line)
}

// RunInNetns is like Run, but enters only the network namespace of the host. The
// files and processes are those of the machine, where the PIDs of all hosts are
// known.
func (h *Host) RunInNetns(line string) Result {
	return h.enter(commandTime, nil, []string{"-n"}, line)
}

func (h *Host) enter(limit time.Duration, stdin io.Reader, spaces []string, line string) Result {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	args := append([]string{"-t", strconv.Itoa(h.PID())}, spaces...)
	cmd := exec.CommandContext(ctx, "nsenter", append(args, "--", "sh", "-c", line)...)
	cmd.Env = []string{"PATH=" + h.path, "HOME=/root", "LANG=C", "TZ=UTC",
		"GORACE=atexit_sleep_ms=0"} // otherwise every command that is built with the race detector exits one second late
	cmd.Stdin = stdin
	// A daemon that keeps the output of its parent open must not block the reader of
	// the command's output.
	cmd.WaitDelay = 2 * time.Second
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	start := time.Now()
	err := cmd.Run()
	r := Result{Out: out.String(), Err: errs.String(), Took: time.Since(start)}
	if err != nil {
		r.Code = -1
		if exit, ok := err.(*exec.ExitError); ok && ctx.Err() == nil {
			r.Code = exit.ExitCode()
		} else {
			r.Err += fmt.Sprintf("\n(%s: %v)", line, err)
		}
	}
	return r
}

// Must runs a command that must succeed, and returns its standard output.
func (h *Host) Must(format string, args ...any) string {
	h.t.Helper()
	line := fmt.Sprintf(format, args...)
	r := h.Run(line)
	if r.Code != 0 {
		h.t.Fatalf("%s# %s\nexit status %d\n%s%s", h.Name, line, r.Code, r.Out, r.Err)
	}
	return r.Out
}

// Fails runs a command that must fail with an exit status. Its standard error, which
// Fails returns, must contain each of the words. At least one word must not be in the
// command, because almost every error repeats what was typed.
func (h *Host) Fails(code int, line string, words ...string) string {
	h.t.Helper()
	typed := func(w string) bool { return strings.Contains(strings.ToLower(line), strings.ToLower(w)) }
	if !slices.ContainsFunc(words, func(w string) bool { return !typed(w) }) {
		h.t.Fatalf("%s# %s\nthe command contains all of %q: this test proves nothing", h.Name, line, words)
	}
	r := h.Run(line)
	if r.Code != code {
		h.t.Fatalf("%s# %s\nexit status %d, want %d\n%s%s", h.Name, line, r.Code, code, r.Out, r.Err)
	}
	for _, w := range words {
		if !strings.Contains(strings.ToLower(r.Err), strings.ToLower(w)) {
			h.t.Fatalf("%s# %s\nits error does not contain %q:\n%s", h.Name, line, w, r.Err)
		}
	}
	return r.Err
}

// Write writes a file on the host, which only its owner can read.
func (h *Host) Write(file, text string) {
	h.t.Helper()
	if err := os.WriteFile(h.Path(file), []byte(text), 0o600); err != nil {
		h.t.Fatalf("host %s: %v", h.Name, err)
	}
}

// Exists reports whether a file exists on the host.
func (h *Host) Exists(file string) bool {
	_, err := os.Lstat(h.Path(file))
	return err == nil
}

// PIDs returns the processes of the host whose program has this name, by their
// process IDs on the host.
func (h *Host) PIDs(program string) []int {
	dirs, _ := filepath.Glob(h.Path("/proc/[0-9]*"))
	var list []int
	for _, dir := range dirs {
		comm, err := os.ReadFile(filepath.Join(dir, "comm"))
		if err == nil && strings.TrimSpace(string(comm)) == program {
			if n, err := strconv.Atoi(filepath.Base(dir)); err == nil {
				list = append(list, n)
			}
		}
	}
	return list
}

// A Stat has the figures of a process that tests need, from /proc/PID.
type Stat struct {
	CPU      time.Duration // user and system
	Resident int           // KiB
	Threads  int
	Files    int // open descriptors
}

// Stat returns the figures of a process of the host.
func (h *Host) Stat(pid int) (Stat, error) {
	dir := h.Path("/proc/" + strconv.Itoa(pid))
	text, err := os.ReadFile(dir + "/stat")
	if err != nil {
		return Stat{}, err
	}
	// The name in parentheses may contain anything. The fields follow it.
	f := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	if len(f) < 22 {
		return Stat{}, fmt.Errorf("%s/stat: %d fields", dir, len(f))
	}
	num := func(i int) int { n, _ := strconv.Atoi(f[i]); return n }
	fds, err := os.ReadDir(dir + "/fd")
	const tick = 10 * time.Millisecond // USER_HZ is 100 on every Linux
	return Stat{
		CPU:      time.Duration(num(11)+num(12)) * tick,
		Resident: num(21) * os.Getpagesize() / 1024,
		Threads:  num(17),
		Files:    len(fds),
	}, err
}
