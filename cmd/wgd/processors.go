package main

import "runtime"

// addProcessor gives the program one of Go's processors more than it has cores,
// or than GOMAXPROCS says: the engine leaves one free for data, and all cores
// are to work on handshakes all the same. Which thread runs on which core the
// kernel decides, and it prefers those that have waited for data.
func addProcessor() { runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) + 1) }
