package answer

import (
	"net"
	"testing"
	"time"
)

// An answer leaves from the address to which the request was sent, whatever the family of
// the socket. A connected socket gets no other. // A52
func TestAnswersFromThere(t *testing.T) {
	for _, c := range []struct {
		listen  string
		clients []string
	}{
		{":0", []string{"127.0.0.9", "127.0.0.1", "127.7.7.7", "::1"}},
		{"0.0.0.0:0", []string{"127.0.0.9", "127.0.0.1"}},
		{"[::]:0", []string{"::1"}},
		{"127.0.0.1:0", []string{"127.0.0.1"}},
	} {
		l, err := Listen(c.listen)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		_, port, _ := net.SplitHostPort(l.LocalAddr().String())
		for _, to := range c.clients {
			client, err := net.Dial("udp", net.JoinHostPort(to, port))
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close()
			client.SetDeadline(time.Now().Add(10 * time.Second))
			l.SetDeadline(time.Now().Add(10 * time.Second))
			if _, err := client.Write([]byte("ping")); err != nil {
				t.Fatal(err)
			}
			buf := make([]byte, 9)
			n, from, err := l.ReadFrom(buf)
			if err != nil || string(buf[:n]) != "ping" {
				t.Fatalf("%s: got %q, %v", to, buf[:n], err)
			}
			if _, err := l.WriteTo([]byte("pong"), from); err != nil {
				t.Fatal(err)
			}
			if n, err := client.Read(buf); err != nil || string(buf[:n]) != "pong" {
				t.Errorf("listening at %s, the answer to a request to %s: %q, %v", c.listen, to, buf[:n], err)
			}
		}
	}
}

// One socket that writes to two addresses has two addresses; one that writes to the same
// address twice has one.
func TestClientsDiffer(t *testing.T) {
	l, err := Listen("0.0.0.0:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	client, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	var seen []string
	for _, to := range []net.IP{net.IPv4(127, 0, 0, 1), net.IPv4(127, 0, 0, 2), net.IPv4(127, 0, 0, 1)} {
		if _, err := client.WriteTo([]byte("x"), &net.UDPAddr{IP: to, Port: l.LocalAddr().(*net.UDPAddr).Port}); err != nil {
			t.Fatal(err)
		}
		l.SetDeadline(time.Now().Add(10 * time.Second))
		_, from, err := l.ReadFrom(make([]byte, 9))
		if err != nil {
			t.Fatal(err)
		}
		seen = append(seen, from.String())
	}
	if seen[0] == seen[1] || seen[0] != seen[2] {
		t.Errorf("the addresses are %q", seen)
	}
}
