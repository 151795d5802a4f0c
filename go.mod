module wgd

go 1.26.8

// Checks of the code, pinned so that everybody has the same ones; nothing of it is in the programs.
tool honnef.co/go/tools/cmd/staticcheck

// What each of these is worth its weight for. internal/archtest says which room may import it.
require (
	// The longest-prefix table: a million prefixes, read without a lock, copied in part when changed.
	github.com/gaissmai/bart v0.30.0
	// The messages of D-Bus, which systemd-resolved speaks. It needs nothing else, and is all Go.
	github.com/godbus/dbus/v5 v5.2.4
	// The messages of nftables, so that the firewall rules of a default route need no other program.
	github.com/google/nftables v0.3.0
	// What Prometheus reads: its text formats and OpenMetrics, for wgd metrics. It adds 3.4 MB to the program.
	github.com/prometheus/client_golang v1.25.0
	// The messages of rtnetlink: addresses, links, routes, so that no other program need be run.
	github.com/vishvananda/netlink v1.3.1
	// Only a type of the one above: a handle of a network namespace.
	github.com/vishvananda/netns v0.0.5
	// ChaCha20-Poly1305 and BLAKE2s, which the standard library keeps to itself or lacks.
	golang.org/x/crypto v0.58.0
	// Messages of DNS: a daemon needs the TTL, which package net does not tell. dnsmessage is the parser that package
	// net has inside. miekg/dns is a whole server, of which we would use one page.
	golang.org/x/net v0.60.0
	// System calls that package syscall does not have: TUN, UDP_SEGMENT, recvmmsg, SO_MARK.
	golang.org/x/sys v0.49.0
	// A TCP/IP stack in the process: the demo, and tunnels in programs without root (netstack).
	gvisor.dev/gvisor v0.0.0-20260905035102-160fafc42237
	// QR codes, for wgd web. It needs nothing else, and is all Go.
	rsc.io/qr v0.2.0
)

require (
	github.com/BurntSushi/toml v1.4.1-0.20240526193622-a339e1f7089c // indirect
	github.com/beorn7/perks v1.0.1 // indirect
	github.com/cespare/xxhash/v2 v2.3.0 // indirect
	github.com/google/btree v1.1.2 // indirect
	github.com/google/go-cmp v0.7.0 // indirect
	github.com/mdlayher/netlink v1.7.3-0.20250113171957-fbb4dce95f42 // indirect
	github.com/mdlayher/socket v0.5.1 // indirect
	github.com/munnerz/goautoneg v0.0.0-20191010083416-a7dc8b61c822 // indirect
	github.com/prometheus/client_model v0.6.3 // indirect
	github.com/prometheus/common v0.72.0 // indirect
	github.com/prometheus/procfs v0.22.0 // indirect
	golang.org/x/exp v0.0.0-20250711185948-6ae5c78190dc // indirect
	golang.org/x/exp/typeparams v0.0.0-20231108232855-2478ac86f678 // indirect
	golang.org/x/mod v0.41.0 // indirect
	golang.org/x/sync v0.23.0 // indirect
	golang.org/x/time v0.15.0 // indirect
	golang.org/x/tools v0.51.0 // indirect
	google.golang.org/protobuf v1.36.12 // indirect
	honnef.co/go/tools v0.8.2 // indirect
)
