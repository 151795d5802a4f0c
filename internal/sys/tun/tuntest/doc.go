// Package tuntest has a network interface for tests, in memory: the test acts as the
// kernel. A Device is a tun.Device and, with its own Read, TryRead and Write, a
// wg.Device.
package tuntest
