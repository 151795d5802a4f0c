package process

import (
	"fmt"
	"math"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// Background starts a daemon: in a session of its own, so that it survives the
// terminal and gets none of its signals; in the folder /; and without open files,
// except its standard ones and those whose descriptors are in the environment
// variables. Background returns nil when the daemon is ready, or the reason why it
// will not be.
//
// The caller should end soon afterwards: its open files are not inherited by
// programs that it starts later, and the variables are unset.
func Background(cmd *exec.Cmd, variables ...string) error {
	read, write, err := os.Pipe()
	if err != nil {
		return err
	}
	defer read.Close()
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := passFiles(cmd, write, variables); err != nil {
		write.Close()
		return err
	}
	closeOnExec()
	err = cmd.Start()
	write.Close()
	if err != nil {
		return fmt.Errorf("start the daemon: %w", err)
	}
	err = await(read)
	switch {
	case err == nil:
		return cmd.Process.Release()
	case err == ErrSilent:
		cmd.Wait()
		return fmt.Errorf("%w (%v)", err, cmd.ProcessState)
	}
	cmd.Wait()
	return err
}

// passFiles passes the pipe to the program, and the files that this one inherited.
func passFiles(cmd *exec.Cmd, ready *os.File, variables []string) error {
	pass := func(variable string, f *os.File) {
		cmd.ExtraFiles = append(cmd.ExtraFiles, f)
		fd := 2 + len(cmd.ExtraFiles) // after the three standard ones
		cmd.Env = append(cmd.Env, variable+"="+strconv.Itoa(fd))
	}
	// The sockets of systemd are for the process whose ID is in LISTEN_PID, which is
	// this one.
	cmd.Env = slices.DeleteFunc(os.Environ(), func(entry string) bool {
		name, _, _ := strings.Cut(entry, "=")
		return name == envReady || slices.Contains(variables, name) ||
			slices.Contains([]string{"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"}, name)
	})
	pass(envReady, ready)
	for _, variable := range variables {
		f, err := Inherited(variable)
		if err != nil {
			return err
		}
		if f != nil {
			pass(variable, f)
		}
	}
	return nil
}

// closeOnExec makes programs that are started inherit only the files that are passed
// to them. Otherwise the files that were open when this process began would stay
// open in the daemon: locks would stay locked, and readers of pipes would wait.
func closeOnExec() {
	const first = 3
	if unix.CloseRange(first, math.MaxUint32, unix.CLOSE_RANGE_CLOEXEC) == nil { // since kernel 5.11
		return
	}
	closeEach(first, openFiles())
}

func closeEach(first int, fds []int) {
	for _, fd := range fds {
		if fd >= first {
			unix.CloseOnExec(fd)
		}
	}
}

// openFiles returns the descriptors that this process has open, or may have open if
// /proc is not there.
func openFiles() (fds []int) {
	if dir, err := os.Open("/proc/self/fd"); err == nil {
		defer dir.Close()
		names, _ := dir.Readdirnames(-1)
		for _, name := range names {
			if fd, err := strconv.Atoi(name); err == nil {
				fds = append(fds, fd)
			}
		}
		return fds
	}
	const limit = 1 << 16
	for fd := range min(MaxFiles(), limit) {
		fds = append(fds, fd)
	}
	return fds
}
