package proxyconf

import (
	"strings"
	"testing"
)

func TestOptions(t *testing.T) {
	for _, c := range []struct {
		kind       Kind
		text, want string // want: the Service, or "error: " and a part of the error
	}{
		{SOCKS5, "127.0.0.1:1080", "SOCKS5 on 127.0.0.1:1080"},
		{SOCKS5, ":0", "SOCKS5 on :0"},
		{SOCKS5, "unix:/run/x=y", "SOCKS5 on unix:/run/x=y"},
		{HTTP, "[::1]:8080", "HTTP proxy on [::1]:8080"},
		{HTTP, "localhost:http", "error: a port is a number up to 65535"},
		{HTTP, "::1:8080", "error: an IPv6 address needs brackets"},
		{HTTP, "[10.0.0.1]:80", "error: brackets are for IPv6 addresses"},
		{HTTP, "10.0.1:80", "error: this is no address and no name of a host"},
		{HTTP, "unix:", "error: the path of the socket is missing"},
		{HTTP, "unix:/" + strings.Repeat("x", 107), "error: at most 107 bytes"},
		{Forward, ":80=db:5432", "TCP from :80 to db:5432 in the tunnel"},
		{Forward, "unix:/a=b=[fd00::1]:80", "TCP from unix:/a=b to [fd00::1]:80 in the tunnel"},
		{Forward, ":80", "error: write LISTEN=HOST:PORT"},
		{Forward, ":80=db", "error: there is no port: write HOST:PORT"},
		{Forward, ":80=db:0", "error: the port is 0"},
		{Forward, ":80=unix:/x", "error: write HOST:PORT"},
		{UDPForward, "127.0.0.1:53=10.0.0.1:53", "UDP from 127.0.0.1:53 to 10.0.0.1:53 in the tunnel"},
		{UDPForward, "unix:/x=10.0.0.1:53", "error: unix sockets are for TCP"},
		{UDPForward, "53", "error: 53: there is no equals sign: write ADDRESS:PORT=HOST:PORT"},
		{Remote, "80=localhost:8080", "TCP from :80 of the tunnel to localhost:8080"},
		{Remote, "[fd00::1]:80=10.0.0.1:8080", "TCP from [fd00::1]:80 of the tunnel to 10.0.0.1:8080"},
		{Remote, "80=unix:/x=y", "TCP from :80 of the tunnel to unix:/x=y"},
		{Remote, "0=a:1", "error: from 1 to 65535"},
		{Remote, "70000=a:1", "error: a port is a number up to 65535"},
		{Remote, "unix:/x=a:1", "error: the tunnel has no unix sockets"},
		{Remote, "80", "error: write PORT=HOST:PORT"},
		{UDPRemote, "53=127.0.0.1:5353", "UDP from :53 of the tunnel to 127.0.0.1:5353"},
		{UDPRemote, "53=unix:/x", "error: unix sockets are for TCP"},
		{Stdio, "ssh.example:22", "standard input and output to ssh.example:22 in the tunnel"},
		{Stdio, "ssh_example!:22", "error: this is no address and no name of a host"},
	} {
		s, err := ParseOption(c.kind, c.text)
		got := s.String()
		if err != nil {
			got = "error: " + err.Error()
		}
		part, isError := strings.CutPrefix(c.want, "error: ")
		if isError != (err != nil) || isError && !strings.Contains(got, part) || !isError && got != c.want {
			t.Errorf("kind %v, %s: got %s, want %s", c.kind, c.text, got, c.want)
		}
	}
}

// FuzzOption: what is accepted is printed in a form that means the same.
func FuzzOption(f *testing.F) {
	f.Add(1, "127.0.0.1:1080")
	f.Add(3, "unix:/a=b:1")
	f.Add(5, "[::1]:80=unix:/x=unix:y")
	f.Add(6, "53=[fd00::1%x]:53")
	f.Fuzz(func(t *testing.T, kind int, text string) {
		if kind < int(SOCKS5) || kind > int(Stdio) {
			return
		}
		s, err := ParseOption(Kind(kind), text)
		if err != nil {
			return
		}
		if s.Kind != Stdio {
			if again, err := ParseListen(s.Listen.String()); err != nil || again != s.Listen {
				t.Fatalf("%q: %+v is printed as %s, which means %+v: %v", text, s.Listen, s.Listen, again, err)
			}
		}
		if s.Kind != SOCKS5 && s.Kind != HTTP {
			parse := ParseTarget
			if s.Inside() {
				parse = parseOutside
			}
			if again, err := parse(s.Target.String()); err != nil || again != s.Target {
				t.Fatalf("%q: %+v is printed as %s, which means %+v: %v", text, s.Target, s.Target, again, err)
			}
		}
	})
}
