package proxyconf

import (
	"fmt"
	"strings"

	"wgd/internal/quote"
)

// ParseOption parses the value of an option of the command line that adds a service of
// this kind: LISTEN, LISTEN=TARGET, PORT=TARGET or TARGET.
func ParseOption(kind Kind, text string) (Service, error) {
	s := Service{Kind: kind}
	var err error
	switch kind {
	case SOCKS5, HTTP:
		s.Listen, err = ParseListen(text)
		return s, err
	case Stdio:
		s.Target, err = ParseTarget(text)
		return s, err
	}
	// A target has no equals sign, but the path of a socket may.
	equals := strings.LastIndexByte(text, '=')
	if equals < 0 {
		form := "LISTEN=HOST:PORT, where LISTEN is ADDRESS:PORT or unix:PATH"
		switch {
		case s.Inside():
			form = "PORT=HOST:PORT"
		case s.UDP():
			form = "ADDRESS:PORT=HOST:PORT"
		}
		return s, fmt.Errorf("%s: there is no equals sign: write %s", quote.Text(text), form)
	}
	listen, target := text[:equals], text[equals+1:]
	if s.Inside() {
		if at := strings.LastIndex(text, "="+unixPrefix); at >= 0 {
			listen, target = text[:at], text[at+1:]
		}
		if s.Target, err = parseOutside(target); err != nil {
			return s, err
		}
		if !strings.Contains(listen, ":") {
			listen = ":" + listen
		}
	} else if s.Target, err = ParseTarget(target); err != nil {
		return s, err
	}
	if s.Listen, err = ParseListen(listen); err != nil {
		return s, err
	}
	return s, s.check()
}
