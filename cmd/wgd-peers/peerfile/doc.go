// Package peerfile reads and writes peers as files: CSV, JSON, and configuration files of
// WireGuard. It opens nothing.
package peerfile
