package main

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"path/filepath"
	"strings"

	"wgd/conf"
	"wgd/internal/cli"
	"wgd/internal/proxyconf"
	"wgd/internal/quote"
	"wgd/internal/wgconf"
)

// The options of wgd proxy.
const (
	optReady  = "ready"
	optPing   = "ping"
	optName   = "name"
	optSocket = "socket"
)

var proxyForm = cli.Form{
	Syntax:  "proxy CONF",
	Example: "wgd proxy --socks5 127.0.0.1:1080 wg0.conf",
	Summary: "use a tunnel without root and without an interface: SOCKS5, HTTP, forwards",
	Options: append(serviceOptions(),
		cli.Option{Long: optReady, Value: "LISTEN", Text: "serve an HTTP page that is 200 while the last handshake of every peer is younger than 180 s, and 503 otherwise"},
		cli.Option{Long: optPing, Value: "HOST", Text: "send four echo requests, print the answers as ping(8) does, and end"},
		cli.Option{Long: optName, Value: "NAME", Text: "the name of the tunnel, instead of that of the file"},
		cli.Option{Long: optSocket, Value: "PATH", Text: "the path of the control socket, which ends in NAME.sock"},
		optReadGroup),
	Text: proxyText,
	Run:  runProxy,
}

// serviceKinds are the options that add a service.
var serviceKinds = []struct {
	kind               proxyconf.Kind
	option, form, text string
}{
	{proxyconf.SOCKS5, "socks5", "LISTEN", "serve SOCKS5: TCP connect and UDP associate"},
	{proxyconf.HTTP, "http", "LISTEN", "serve an HTTP proxy: CONNECT and plain requests"},
	{proxyconf.Forward, "forward", "LISTEN=HOST:PORT", "connect each TCP client of LISTEN with HOST:PORT in the tunnel"},
	{proxyconf.UDPForward, "udp-forward", "ADDRESS:PORT=HOST:PORT", "the same for UDP"},
	{proxyconf.Remote, "remote", "PORT=HOST:PORT", "connect each TCP client of this port of the tunnel with HOST:PORT outside; unix:PATH may stand for the latter"},
	{proxyconf.UDPRemote, "udp-remote", "PORT=HOST:PORT", "the same for UDP"},
	{proxyconf.Stdio, "stdio", "HOST:PORT", "connect standard input and output with HOST:PORT in the tunnel, and end when the connection does"},
}

func serviceOptions() (list []cli.Option) {
	for _, k := range serviceKinds {
		list = append(list, cli.Option{Long: k.option, Value: k.form, Text: k.text})
	}
	return list
}

var proxyText = []string{
	"The tunnel ends in a TCP/IP stack inside the process, so it needs neither root nor a TUN device. It stays in the foreground until SIGTERM or SIGINT. Options may be given several times. " +
		"LISTEN is ADDRESS:PORT, :PORT for all addresses, or unix:PATH for a socket that only its owner may use.",
	"CONF is a file of wg-quick(8), see wgd.conf(5), or of wireproxy, with sections for services: [Socks5], [http], [TCPClientTunnel], [TCPServerTunnel], [UDPProxyTunnel], [STDIOTunnel]. " +
		"Hooks, Table and SaveConfig have no effect.",
	"Names are looked up inside the tunnel only, at the name servers of the line DNS. Without this line, names are refused. The name in an Endpoint is the exception: it is looked up outside. " +
		"A target of --remote may also be localhost or a name in /etc/hosts.",
	"If a proxy of the same name and key runs already, --stdio is a connection through its tunnel, so several ssh may run at a time. The one that has the tunnel stays until all of them have ended.",
	"The control socket is /var/run/wireguard/NAME.sock for root, and $XDG_RUNTIME_DIR/wireguard/NAME.sock for others; wgconfig(8), wgd explain and wgd reload look there too. They also take the path of a socket instead of NAME.",
	"SIGHUP and wgd reload NAME read the file again: keys, peers and services become what it says, and connections that are not concerned continue. With a service on standard input, SIGHUP ends wgd.",
	"The server of --ready has three pages. `/` is described above; with CheckAlive in the file, each of these addresses must have answered a ping as well. `/readyz` is that of wireproxy: the times of the last answers, as JSON. `/metrics` is the state in the language of the control socket, without keys.",
	"With --ping, the exit status is 1 if there was no answer.",
}

// runProxy runs a tunnel that ends in this process, and its services.
func runProxy(c *cli.Call) error {
	path, name, err := locateProxy(c)
	if err != nil {
		return err
	}
	p := &proxyRun{call: c, path: path, name: name}
	if p.typed, err = typedServices(c); err != nil {
		return err
	}
	if p.readers, err = readGroup(c); err != nil {
		return err
	}
	return p.run()
}

// locateProxy returns the file and the name of the tunnel. Unlike that of an interface,
// the file of a proxy may have any name.
func locateProxy(c *cli.Call) (path, name string, err error) {
	path, name, err = wgconf.Locate(c.Arg("CONF"))
	if given, ok := c.Value(optName); ok {
		if err := conf.ValidInterfaceName(given); err != nil {
			return "", "", fmt.Errorf("--name %w", err)
		}
		name = given
	} else if err != nil {
		base := strings.TrimSuffix(filepath.Base(c.Arg("CONF")), filepath.Ext(c.Arg("CONF")))
		if conf.ValidInterfaceName(base) != nil {
			return "", "", fmt.Errorf("%w: or give a name: --name wg0", err)
		}
		name = base
	}
	if err != nil {
		path = c.Arg("CONF")
	}
	return path, name, nil
}

// typedServices returns the services of the command line. It reports all errors at once.
func typedServices(c *cli.Call) (list []proxyconf.Service, err error) {
	for _, k := range serviceKinds {
		for _, text := range c.Values(k.option) {
			s, wrong := proxyconf.ParseOption(k.kind, text)
			if wrong != nil {
				err = errors.Join(err, fmt.Errorf("--%s %w", k.option, wrong))
			}
			list = append(list, s)
		}
	}
	if text, ok := c.Value(optReady); ok {
		if _, wrong := proxyconf.ParseListen(text); wrong != nil {
			err = errors.Join(err, fmt.Errorf("--%s %w", optReady, wrong))
		}
	}
	return list, err
}

// loadProxy reads a file, and prints warnings about it.
func loadProxy(c *cli.Call, path string) (*proxyconf.Config, error) {
	text, exposed, err := readFile(path)
	dir := path
	path = quote.Path(path) // for messages
	switch {
	case errors.Is(err, fs.ErrPermission):
		return nil, fmt.Errorf("%s: %w: correct its permissions, or its owner", path, plain(err))
	case err != nil:
		return nil, fmt.Errorf("%s: %w: correct the path", path, plain(err))
	}
	defer clear(text)
	if exposed {
		c.Warnf("%s: others may read this file, and its keys: chmod 600 it", path)
	}
	config, problems := proxyconf.Read(path, text, proxySurroundings(dir))
	for _, p := range problems {
		if p.Warning {
			c.Warnf("%s", p)
		}
	}
	if config == nil {
		return nil, problems.Err()
	}
	n := &config.Tunnel.Interface.Network
	if len(n.PreUp)+len(n.PostUp)+len(n.PreDown)+len(n.PostDown) > 0 {
		c.Warnf("%s: wgd proxy runs no hooks (PreUp, PostUp, PreDown, PostDown)", path)
	}
	return config, nil
}

// unique returns the services without repetitions.
func unique(list []proxyconf.Service) (result []proxyconf.Service) {
	seen := map[proxyconf.Service]bool{}
	for _, s := range list {
		if !seen[s] {
			seen[s] = true
			result = append(result, s)
		}
	}
	return result
}

// errNoService says that a proxy would do nothing.
var errNoService = errors.New("there is no service: add an option such as --socks5 127.0.0.1:1080, or a section such as [Socks5]")

// count returns how many of the services are of a kind.
func count(list []proxyconf.Service, kind proxyconf.Kind) (n int) {
	for i := range list {
		if list[i].Kind == kind {
			n++
		}
	}
	return n
}

// warnOfOpen warns about proxies that listen on all addresses and want no password.
func (p *proxyRun) warnOfOpen(list []proxyconf.Service) {
	for i := range list {
		s := &list[i]
		if s.Kind != proxyconf.SOCKS5 && s.Kind != proxyconf.HTTP || s.Listen.Unix != "" || s.Username != "" || s.Password != "" {
			continue
		}
		if a, err := netip.ParseAddr(s.Listen.Host); s.Listen.Host == "" || err == nil && a.IsUnspecified() {
			p.call.Warnf("%s: whoever reaches this computer may use the tunnel: listen on 127.0.0.1, or set Username and Password in a section of the file", s)
		}
	}
}
