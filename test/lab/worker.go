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
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A Crew has the roles of the workers that a program can start. A worker is the
// program itself, executed again, in the network namespace of a host but with the
// files of the machine. It runs until the process that started it closes its
// standard input, or ends. It answers each line that it reads there with a line.
//
// The function of a role starts its job and returns the function that answers
// questions: with what was done so far, or when all is done. Job and Answer are
// sent as JSON. The crews of a program have different roles.
type Crew[Job, Answer any] map[string]func(Job) (answer func() (Answer, error), err error)

// workEnv is the environment variable with the work of a worker.
const workEnv = "WGD_LAB_WORK"

// work is the value of workEnv.
type work struct {
	Role string
	Job  json.RawMessage
}

// Become runs the worker if this process was started as one of this crew, and then does
// not return. It must be called before anything else, from TestMain or main.
func (c Crew[Job, Answer]) Become() {
	text := os.Getenv(workEnv)
	var w work
	if text == "" || json.Unmarshal([]byte(text), &w) == nil && c[w.Role] == nil {
		return // NewHost refuses to work if no crew of the program has the role
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

// A Worker is a process that Start started.
type Worker[Answer any] struct {
	t      T
	role   string
	cmd    *exec.Cmd
	in     io.WriteCloser
	out    *bufio.Reader
	stderr bytes.Buffer // complete after the process has ended
}

// Start starts a worker on a host and waits until it is ready. The worker ends when the test ends,
// if Stop has not ended it.
func (c Crew[Job, Answer]) Start(h *Host, role string, job Job) *Worker[Answer] {
	h.t.Helper()
	self, err := os.Executable()
	if err != nil {
		h.t.Fatalf("host %s: starting the worker %s: %v", h.Name, role, err)
	}
	return c.StartProgram(h, self, role, job)
}

// StartProgram is like Start. The worker is a program that Build or BuildFrom
// built, or any other by its path, which has a crew with the same Job and Answer.
func (c Crew[Job, Answer]) StartProgram(h *Host, program, role string, job Job) *Worker[Answer] {
	h.t.Helper()
	w := &Worker[Answer]{t: h.t, role: role}
	if !strings.Contains(program, "/") {
		b, err := Build()
		if err != nil {
			h.t.Fatalf("%v", err)
		}
		program = filepath.Join(b.Dir, program)
	}
	text, err := json.Marshal(job)
	if err == nil {
		text, err = json.Marshal(work{role, text})
	}
	if err == nil {
		err = w.start(h, program, string(text))
	}
	if err != nil {
		h.t.Fatalf("host %s: starting the worker %s: %v", h.Name, role, err)
	}
	h.t.Cleanup(w.Stop)
	if _, err := w.line(); err != nil {
		w.fail("did not start", err)
	}
	return w
}

func (w *Worker[Answer]) start(h *Host, program, work string) (err error) {
	w.cmd = exec.Command("nsenter", "-n", "-t", strconv.Itoa(h.PID()), "--", program)
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

// withoutGoSettings removes the variables that change how a Go program runs: a slower
// load would limit the fastest of the programs that it measures.
func withoutGoSettings(environment []string) []string {
	return slices.DeleteFunc(environment, func(line string) bool {
		name, _, _ := strings.Cut(line, "=")
		return slices.Contains([]string{"GOMAXPROCS", "GODEBUG", "GOGC", "GOMEMLIMIT"}, name)
	})
}

// Ask asks the worker a question and returns its answer.
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

// line waits for a line of the worker's output.
func (w *Worker[Answer]) line() ([]byte, error) {
	const limit = 5 * time.Minute
	late := time.AfterFunc(limit, func() { w.cmd.Process.Kill() })
	line, err := w.out.ReadBytes('\n')
	if !late.Stop() {
		err = fmt.Errorf("no line within %v", limit)
	}
	return line, err
}

// Stop ends the worker.
func (w *Worker[Answer]) Stop() {
	w.in.Close()
	late := time.AfterFunc(5*time.Second, func() { w.cmd.Process.Kill() })
	defer late.Stop()
	w.cmd.Wait()
}

// fail ends the test with the standard error of the worker.
func (w *Worker[Answer]) fail(what string, err error) {
	w.t.Helper()
	w.Stop()
	if errors.Is(err, io.EOF) {
		err = errors.New("it has ended")
	}
	w.t.Fatalf("the worker %s %s: %v\n%s", w.role, what, err, w.stderr.Bytes())
}
