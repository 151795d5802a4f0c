// Package e2e has tests only: the whole system, as a person installs and types
// it, on simulated hosts (package lab). Each test has hosts of its own and
// names the rules it proves. It needs root and /dev/net/tun.
package e2e
