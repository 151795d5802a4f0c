// Tailscale's fork of wireguard-go, for rows of test/bench. It is a separate module, so that
// wgd does not depend on it; the fork runs as a process on a host of the lab.
module wgd/test/bench/tailscale

go 1.26.8

tool github.com/tailscale/wireguard-go

require (
	github.com/tailscale/wireguard-go v0.0.0-20260427181203-e3ac4a0afb4e // indirect
	golang.org/x/crypto v0.50.0 // indirect
	golang.org/x/net v0.53.0 // indirect
	golang.org/x/sys v0.43.0 // indirect
	golang.zx2c4.com/wintun v0.0.0-20230126152724-0fa3db229ce2 // indirect
)
