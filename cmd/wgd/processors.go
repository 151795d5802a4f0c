package main

import (
	"os"
	"runtime"
)

// addProcessor gives the program one of Go's processors more than it may use
// cores: the engine leaves one free for data, and all cores are to work on
// handshakes all the same. Which thread runs on which core the kernel decides,
// and it prefers those that have waited for data. Who sets GOMAXPROCS gets what
// he asks for.
func addProcessor() {
	if os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) + 1)
	}
}
