// Package man holds the manual pages. They are generated from the tables of the
// commands, that of the file from the table of its directives, and that of the
// device from the program in wgdevice. A test fails
// if they are out of date.
package man

//go:generate sh -c "go run wgd/cmd/wgd --man > wgd.8"
//go:generate sh -c "go run wgd/cmd/wgconfig --man > wgconfig.8"
//go:generate sh -c "go run wgd/cmd/wg-ifconfig --man > wg-ifconfig.8"
//go:generate sh -c "go run wgd/cmd/wg-keygen --man > wg-keygen.8"
//go:generate sh -c "go run -C ../../cmd/wgd-peers . --man > wgd-peers.8"
//go:generate sh -c "go run wgd/docs/man/wgdconf > wgd.conf.5"
//go:generate sh -c "go run wgd/docs/man/wgdevice > wg.4"
