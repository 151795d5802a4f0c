package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"wgd/test/lab"
)

// The load is made by this program itself, started again inside a host's
// network: a worker. It works until its standard input closes; for each line
// that it reads there, it answers with a line that says what it has done so far.

// loadEnv has the job of a process that was started as a worker.
const loadEnv = "WGD_BENCH_LOAD"

// job is what a worker is to do.
type job struct {
	Role    string
	Remote  string  `json:",omitempty"` // address
	Streams int     `json:",omitempty"`
	Rate    float64 `json:",omitempty"` // bits a second; 0: all that goes
	Size    int     `json:",omitempty"`
	Count   int     `json:",omitempty"` // of pings, or of handshakes
	Crowd   *crowd  `json:",omitempty"` // the peers that a worker plays
}

// reading is a worker's answer.
type reading struct {
	Bytes, Packets uint64
	Nanoseconds    int64 // of the monotonic clock; of a ping: its round trip
}

// since is what passed after an earlier reading.
func (r reading) since(before reading) reading {
	return reading{r.Bytes - before.Bytes, r.Packets - before.Packets, r.Nanoseconds - before.Nanoseconds}
}

func (r reading) seconds() float64      { return float64(r.Nanoseconds) / 1e9 }
func (r reading) milliseconds() float64 { return float64(r.Nanoseconds) / 1e6 }
func (r reading) gigabits() float64     { return float64(r.Bytes) * 8 / r.seconds() / 1e9 }

// workerPort is where every sink listens.
const workerPort = 5001

var roles = map[string]func(job) (answer func() (reading, error), err error){
	"tcp-sink":   tcpSink,
	"tcp-source": tcpSource,
	"udp-sink":   udpSink,
	"udp-source": udpSource,
	"ping":       pinger,
	"initiators": initiators,
	"responders": responders,
}

// becomeLoad does not return in a process that was started as a worker.
func becomeLoad() {
	text := os.Getenv(loadEnv)
	if text == "" {
		return
	}
	if err := work(text); err != nil {
		fmt.Fprintf(os.Stderr, "load %s: %v\n", text, err)
		os.Exit(1)
	}
	os.Exit(0)
}

func work(text string) error {
	var j job
	if err := json.Unmarshal([]byte(text), &j); err != nil {
		return err
	}
	role, ok := roles[j.Role]
	if !ok {
		return fmt.Errorf("no role %q", j.Role)
	}
	answer, err := role(j)
	if err != nil {
		return err
	}
	fmt.Println("ready")
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		r, err := answer()
		if err != nil {
			return err
		}
		if err := json.NewEncoder(os.Stdout).Encode(r); err != nil {
			return err
		}
	}
	return nil
}

// now is the monotonic clock, which all processes share.
func now() int64 {
	var ts unix.Timespec
	unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts)
	return ts.Nano()
}

// worker is such a process, seen from outside.
type worker struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
}

// start starts a worker on a host and waits until it is ready.
func start(t lab.T, h *lab.Host, j job) *worker {
	text, err := json.Marshal(j)
	if err != nil {
		t.Fatalf("%v", err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatalf("find this program to start it again: %v", err)
	}
	w := &worker{cmd: exec.Command("nsenter", "-n", "-t", strconv.Itoa(h.PID()), "--", self)}
	w.cmd.Env = append(os.Environ(), loadEnv+"="+string(text))
	w.cmd.Stderr = os.Stderr
	in, err := w.cmd.StdinPipe()
	if err != nil {
		t.Fatalf("%v", err)
	}
	out, err := w.cmd.StdoutPipe()
	if err != nil {
		t.Fatalf("%v", err)
	}
	w.in, w.out = in, bufio.NewReader(out)
	if err := w.cmd.Start(); err != nil {
		t.Fatalf("load %s: %v", text, err)
	}
	if _, err := w.out.ReadString('\n'); err != nil {
		w.stop()
		t.Fatalf("load %s did not begin", text)
	}
	return w
}

// ask asks what the worker has done so far.
func (w *worker) ask(t lab.T) (r reading) {
	if _, err := w.in.Write([]byte("\n")); err != nil {
		t.Fatalf("the load ended: %v", err)
	}
	line, err := w.out.ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, &r)
	}
	if err != nil {
		t.Fatalf("the load does not answer: %v", err)
	}
	return r
}

// stop ends the worker.
func (w *worker) stop() {
	w.in.Close()
	late := time.AfterFunc(5*time.Second, func() { w.cmd.Process.Kill() })
	defer late.Stop()
	w.cmd.Wait()
}

// childrenCPU is the processor time of this program and of the workers that ended.
func childrenCPU() (sum time.Duration) {
	for _, who := range []int{unix.RUSAGE_SELF, unix.RUSAGE_CHILDREN} {
		var u unix.Rusage
		if unix.Getrusage(who, &u) == nil {
			sum += time.Duration(u.Utime.Nano() + u.Stime.Nano())
		}
	}
	return sum
}
