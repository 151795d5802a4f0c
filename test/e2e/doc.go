// Package e2e has tests only: the whole system, with the commands that a person
// types, on simulated hosts (package lab). Each test has its own hosts and names the
// rules that it proves. The tests need root and /dev/net/tun.
package e2e
