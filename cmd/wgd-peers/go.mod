// A module of its own, so that no daemon has a database.
module wgd/cmd/wgd-peers

go 1.26.8

replace wgd => ../..

require (
	// SQLite, translated to Go: the store that needs no server. It adds 8 MB to the program, and no cgo.
	modernc.org/sqlite v1.62.0
	// QR codes of clients' files. It needs nothing else.
	rsc.io/qr v0.2.0
	// The tree that this folder is in.
	wgd v0.0.0-00010101000000-000000000000
)

require (
	github.com/dustin/go-humanize v1.1.0 // indirect
	github.com/google/uuid v1.6.0 // indirect
	github.com/mattn/go-isatty v0.0.24 // indirect
	github.com/ncruces/go-strftime v1.1.0 // indirect
	github.com/remyoudompheng/bigfft v0.0.0-20230129092748-24d4a6f8daec // indirect
	golang.org/x/sys v0.49.0 // indirect
	modernc.org/libc v1.80.1 // indirect
	modernc.org/mathutil v1.7.1 // indirect
	modernc.org/memory v1.12.1 // indirect
)
