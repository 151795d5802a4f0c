package proxyconf

import (
	"fmt"
	"testing"
)

func TestLocalAddresses(t *testing.T) {
	const hosts = "# 192.0.2.9 b\n127.0.0.1 localhost\n192.0.2.1 a.example A # b\nfe80::1%x z\nx b\n2001:db8::1\ta\n"
	for _, c := range []struct{ host, hosts, want string }{
		{"10.0.0.1", "", "[10.0.0.1]"}, {"::ffff:10.0.0.1", "", "[10.0.0.1]"}, {"a", hosts, "[192.0.2.1 2001:db8::1]"},
		{"b", hosts, "[]"}, {"localhost", hosts, "[127.0.0.1]"}, {"LocalHost", "", "[127.0.0.1 ::1]"},
	} {
		if got := fmt.Sprint(LocalAddresses(c.host, c.hosts)); got != c.want {
			t.Errorf("%s: got %s, want %s", c.host, got, c.want)
		}
	}
}
