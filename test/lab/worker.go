package lab

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Crew are the roles of the workers that a program can start: the program
// itself, once more, inside a host's network but with the machine's files. A
// worker works until its starter closes its standard input, or dies; for each
// line that it reads there, it answers with a line.
//
// A role is handed its job, begins, and says how questions are answered: with
// what was done so far, or when it is all done. Job and Answer travel as JSON. A
// program has one crew.
type Crew[Job, Answer any] map[string]func(Job) (answer func() (Answer, error), err error)

// workEnv has what a process that was started as a worker is to do.
const workEnv = "WGD_LAB_WORK"

// work is the value of workEnv.
type work struct {
	Role string
	Job  json.RawMessage
}

// Become does not return in a process that was started as a worker. It must be
// called before anything else: from TestMain, or first in main.
func (c Crew[Job, Answer]) Become() {
	text := os.Getenv(workEnv)
	if text == "" {
		return
	}
	if err := c.work(text, os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

func (c Crew[Job, Answer]) work(text string, in io.Reader, out io.Writer) error {
	var w work
	var job Job
	if err := json.Unmarshal([]byte(text), &w); err != nil {
		return err
	}
	if err := json.Unmarshal(w.Job, &job); err != nil {
		return err
	}
	role, ok := c[w.Role]
	if !ok {
		return fmt.Errorf("this program has no role %q for a worker", w.Role)
	}
	answer, err := role(job)
	if err != nil {
		return err
	}
	fmt.Fprintln(out, "ready")
	for questions := bufio.NewScanner(in); questions.Scan(); {
		a, err := answer()
		if err != nil {
			return err
		}
		if err := json.NewEncoder(out).Encode(a); err != nil {
			return err
		}
	}
	return nil
}

// Worker is such a process, seen from outside.
type Worker[Answer any] struct {
	t      T
	role   string
	cmd    *exec.Cmd
	in     io.WriteCloser
	out    *bufio.Reader
	stderr bytes.Buffer // its standard error, to be read after its end
}

// Start starts a worker on a host and waits until it is ready.
func (c Crew[Job, Answer]) Start(h *Host, role string, job Job) *Worker[Answer] {
	h.t.Helper()
	w := &Worker[Answer]{t: h.t, role: role}
	text, err := json.Marshal(job)
	if err == nil {
		text, err = json.Marshal(work{role, text})
	}
	if err == nil {
		err = w.start(h, string(text))
	}
	if err != nil {
		h.t.Fatalf("host %s: start a worker, %s: %v", h.Name, role, err)
	}
	if _, err := w.line(); err != nil {
		w.fail("did not begin", err)
	}
	return w
}

func (w *Worker[Answer]) start(h *Host, work string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	w.cmd = exec.Command("nsenter", "-n", "-t", strconv.Itoa(h.PID()), "--", self)
	w.cmd.Env = append(withoutGoSettings(os.Environ()), workEnv+"="+work)
	w.cmd.Stderr = &w.stderr
	if w.in, err = w.cmd.StdinPipe(); err != nil {
		return err
	}
	out, err := w.cmd.StdoutPipe()
	if err != nil {
		return err
	}
	w.out = bufio.NewReader(out)
	return w.cmd.Start()
}

// withoutGoSettings is an environment without what changes how a program of Go runs: a
// load that is held back would hold back the fastest of what it measures.
func withoutGoSettings(environment []string) []string {
	return slices.DeleteFunc(environment, func(line string) bool {
		name, _, _ := strings.Cut(line, "=")
		return slices.Contains([]string{"GOMAXPROCS", "GODEBUG", "GOGC", "GOMEMLIMIT"}, name)
	})
}

// Ask asks a worker, and waits for the answer.
func (w *Worker[Answer]) Ask() (a Answer) {
	w.t.Helper()
	_, err := w.in.Write([]byte("\n"))
	var line []byte
	if err == nil {
		line, err = w.line()
	}
	if err == nil {
		err = json.Unmarshal(line, &a)
	}
	if err != nil {
		w.fail("does not answer", err)
	}
	return a
}

// line waits for a line of the worker's.
func (w *Worker[Answer]) line() ([]byte, error) {
	const limit = 5 * time.Minute
	late := time.AfterFunc(limit, func() { w.cmd.Process.Kill() })
	line, err := w.out.ReadBytes('\n')
	if !late.Stop() {
		err = fmt.Errorf("it had %v", limit)
	}
	return line, err
}

// Stop ends a worker.
func (w *Worker[Answer]) Stop() {
	w.in.Close()
	late := time.AfterFunc(5*time.Second, func() { w.cmd.Process.Kill() })
	defer late.Stop()
	w.cmd.Wait()
}

// fail ends the test with what the worker said last.
func (w *Worker[Answer]) fail(what string, err error) {
	w.t.Helper()
	w.Stop()
	if errors.Is(err, io.EOF) {
		err = errors.New("it has ended")
	}
	w.t.Fatalf("the worker %s %s: %v\n%s", w.role, what, err, w.stderr.Bytes())
}
