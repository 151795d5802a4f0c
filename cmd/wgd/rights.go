package main

import (
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strings"

	"wgd/internal/sys/link"
	"wgd/internal/sys/tun"
)

// explainRights completes the error of a command that did not create the interface name,
// from the file conf. If this process has no right to create one, the error says why, and
// what to run instead.
func explainRights(name, conf string, err error) error {
	if err == nil {
		return nil
	}
	if interfaceExists(name) {
		return err // then the right to create one is not what is missing
	}
	why := tun.Permitted(name)
	if why == nil {
		return err
	}
	return fmt.Errorf("%s: %w%s", name, why, alternatives(userNamespaces(), conf))
}

func interfaceExists(name string) bool {
	links, err := link.Open()
	if err != nil {
		return false
	}
	defer links.Close()
	_, err = links.Get(name)
	return err == nil
}

// alternatives are lines with the commands that need no right, for the file conf.
// namespaces reports whether user namespaces are possible.
func alternatives(namespaces bool, conf string) string {
	conf = shellWord(conf)
	lines := "\nor run \"wgd proxy " + conf + " --socks5 127.0.0.1:1080\", which needs no right: a SOCKS5 proxy leads into the tunnel"
	if namespaces {
		lines += "\nor run \"unshare -Ur --net wgd up -f " + conf + "\": it works in a network namespace of its own, whose other connections you make, with pasta(1) for example"
	}
	return lines
}

// userNamespaces reports whether a user namespace would give this process the right to
// create an interface. To find out, it runs what it would recommend.
func userNamespaces() bool {
	driver, err := os.OpenFile("/dev/net/tun", os.O_RDWR, 0)
	if err != nil {
		return false
	}
	driver.Close()
	return exec.Command("unshare", "-Ur", "--net", "true").Run() == nil
}

var plainWord = regexp.MustCompile(`^[\w./+:,@%-]+$`)

// shellWord quotes a word for a shell, if it must be.
func shellWord(word string) string {
	if plainWord.MatchString(word) {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}
