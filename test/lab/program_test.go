package lab

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// Bound returns the first failure. Fatalf ends the function, and the cleanups run,
// the last one first.
func TestBound(t *testing.T) {
	var down []int
	err := Bound(func(t T) {
		t.Cleanup(func() { down = append(down, 1) })
		t.Cleanup(func() {
			t.Cleanup(func() { down = append(down, 2) })
			if !t.Failed() {
				down = append(down, -1)
			}
		})
		t.Errorf("no more %s", "hosts")
		t.Fatalf("nor wires")
		down = append(down, -2)
	})
	if err == nil || err.Error() != "no more hosts" || !slices.Equal(down, []int{2, 1}) {
		t.Errorf("the error is %v, cleanups ran in the order %v", err, down)
	}
	if err := Bound(func(T) {}); err != nil {
		t.Error(err)
	}
}

// A panic is passed on after the cleanups.
func TestBoundPanics(t *testing.T) {
	down := false
	defer func() {
		if recover() != "broken" || !down {
			t.Error("the panic is lost, or the cleanup did not run")
		}
	}()
	Bound(func(t T) {
		t.Cleanup(func() { down = true })
		panic("broken")
	})
}

// The variables that slow down a Go program are removed, and no others.
func TestWithoutGoSettings(t *testing.T) {
	got := withoutGoSettings([]string{"HOME=/root", "GOMAXPROCS=1", "GODEBUG=gctrace=1", "GOPATH=/go", "GOGC=off", "GOMEMLIMIT=1GiB", "X=GOGC=1"})
	if want := []string{"HOME=/root", "GOPATH=/go", "X=GOGC=1"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// A long text keeps its beginning and its end. A short one is unchanged.
func TestAbridge(t *testing.T) {
	short, long := strings.Repeat("a", 20_000), strings.Repeat("a", 10_000)+strings.Repeat("b", 1000)+strings.Repeat("c", 10_000)
	if abridge(short) != short {
		t.Error("a short text is cut")
	}
	if got := abridge(long); strings.Contains(got, "bb") || strings.Count(got, "a") != 10_000 || strings.Count(got, "c") != 10_000 || !strings.Contains(got, "[1000 bytes]") {
		t.Errorf("a long text becomes %d bytes, without its beginning, its end or the mark between them", len(got))
	}
}

// A role gets its job unchanged, and there is one answer for each question.
func TestCrew(t *testing.T) {
	type job struct {
		Words []string
		Rate  float64
		Inner *job
	}
	asked := 0
	crew := Crew[job, job]{
		"echo": func(j job) (func() (job, error), error) {
			return func() (job, error) { asked++; return j, nil }, nil
		},
		"idle": func(job) (func() (job, error), error) { return nil, errors.New("will not") },
		"tired": func(job) (func() (job, error), error) {
			return func() (job, error) { return job{}, errors.New("tired") }, nil
		},
	}
	j := job{Words: []string{"a", "\n"}, Rate: 2e8, Inner: &job{Rate: 7}}
	do := func(role string) (string, error) {
		text, err := json.Marshal(j)
		if err == nil {
			text, err = json.Marshal(work{role, text})
		}
		if err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		err = crew.work(string(text), strings.NewReader("\n\n"), &out)
		return out.String(), err
	}
	text, err := do("echo")
	lines := strings.Split(text, "\n")
	if err != nil || asked != 2 || len(lines) != 4 || lines[0] != "ready" {
		t.Fatalf("error %v; asked %d times, want 2; it printed %q", err, asked, text)
	}
	var got job
	if err := json.Unmarshal([]byte(lines[2]), &got); err != nil || !reflect.DeepEqual(got, j) {
		t.Errorf("%s is decoded as %+v, error %v; want %+v", lines[2], got, err, j)
	}
	for role, want := range map[string]string{"idle": "will not", "tired": "tired", "nobody": `no role "nobody"`} {
		if _, err := do(role); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want %q in it", role, err, want)
		}
	}
	if crew.work("{", strings.NewReader(""), &bytes.Buffer{}) == nil {
		t.Error("work that is not JSON is accepted")
	}
}
