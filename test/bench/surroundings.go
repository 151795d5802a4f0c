package main

import (
	"debug/buildinfo"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"wgd/internal/aead"
	"wgd/test/lab"
)

// surroundings are what the figures depend on apart from the programs.
type surroundings struct {
	when         time.Time
	processor    string
	cores        int
	kernel, aead string // the versions of Linux and of the AEAD
	ours, theirs string // versions
}

// look returns the properties of this machine, and the versions of what was built.
// What it cannot find out is "unknown".
func look(o options) surroundings {
	s := surroundings{when: time.Now().UTC(), processor: "unknown", cores: runtime.NumCPU(), kernel: "unknown", aead: aead.Kernel()}
	if text, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		s.processor = processor(string(text))
	}
	var u unix.Utsname
	if unix.Uname(&u) == nil {
		s.kernel = unix.ByteSliceToString(u.Release[:])
	}
	b, err := lab.Build()
	if err != nil {
		return s
	}
	s.ours = commit()
	s.theirs = "another program"
	if o.against == "" {
		s.theirs = lab.Theirs + " " + moduleVersion(filepath.Join(b.Dir, lab.Theirs))
	}
	return s
}

// commit says from which commit the programs were built.
func commit() string {
	out, err := exec.Command("git", "rev-parse", "--short=12", "HEAD").Output()
	if err != nil {
		return "wgd of no known commit"
	}
	text := "wgd of commit " + strings.TrimSpace(string(out))
	if changes, err := exec.Command("git", "status", "--porcelain", "--untracked-files=no").Output(); err != nil || len(changes) > 0 {
		text += " with changes"
	}
	return text
}

// processor returns the model in the text of /proc/cpuinfo.
func processor(cpuinfo string) string {
	for line := range strings.Lines(cpuinfo) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.Join(strings.Fields(value), " ")
		}
	}
	return "unknown"
}

// moduleVersion returns the version of the module that a program was built from.
func moduleVersion(program string) string {
	info, err := buildinfo.ReadFile(program)
	if err != nil {
		return "unknown"
	}
	return info.Main.Version
}

// String returns a sentence without its full stop.
func (s surroundings) String() string {
	return fmt.Sprintf("%s: %s compared with %s, on %d cores (%s), Linux %s, %s; AEAD kernel: %s",
		s.when.Format("2 January 2006 15:04 UTC"), s.ours, s.theirs, s.cores, s.processor, s.kernel, runtime.Version(), s.aead)
}
