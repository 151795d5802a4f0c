package main

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"

	"wgd/internal/sys/process"
)

// background starts this program again as a daemon, and waits until it is
// ready or says why it cannot be.
func background(name string) error {
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program to start it in the background: %w: use -f", err)
	}
	read, write, err := os.Pipe()
	if err != nil {
		return err
	}
	defer read.Close()
	cmd := exec.Command(self, "--foreground", "--", name)
	cmd.Dir = "/"
	process.Detach(cmd)
	// Warnings of its start are for the person who starts it. Then it lets go
	// of standard error, unless messages were asked for.
	cmd.Stderr = os.Stderr
	if keepsOutput() {
		cmd.Stdout = os.Stdout
	}
	if err := handOver(cmd, write); err != nil {
		write.Close()
		return err
	}
	err = cmd.Start()
	write.Close()
	if err != nil {
		return fmt.Errorf("start the daemon: %w", err)
	}
	if err := await(read); err != nil {
		cmd.Wait()
		return err
	}
	return cmd.Process.Release()
}

// keepsOutput reports whether a daemon in the background goes on writing to
// the standard output and error of the command that started it.
func keepsOutput() bool {
	level, set := os.LookupEnv(envLogLevel)
	return set && level != "silent"
}

// handOver gives the daemon the pipe and what this process inherited for it.
func handOver(cmd *exec.Cmd, ready *os.File) error {
	give := func(variable string, f *os.File) {
		cmd.ExtraFiles = append(cmd.ExtraFiles, f)
		fd := 2 + len(cmd.ExtraFiles) // after the three standard ones
		cmd.Env = append(cmd.Env, variable+"="+strconv.Itoa(fd))
	}
	var files []*os.File
	var variables []string
	for _, variable := range []string{envTUN, envControl} {
		f, err := inherited(variable)
		if err != nil {
			return err
		}
		if f != nil {
			files, variables = append(files, f), append(variables, variable)
		}
	}
	cmd.Env = os.Environ() // without those two
	give(envReady, ready)
	for i, f := range files {
		give(variables[i], f)
	}
	return nil
}
