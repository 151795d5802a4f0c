package wgconf

import (
	"path"
	"strings"

	"wgd/conf"
	"wgd/internal/invalid"
)

// Folder is where the files are that are called by the name of their interface.
const Folder = "/etc/wireguard"

const suffix = ".conf"

// Locate gives the file that a command means by CONF|NAME, and the name of its
// interface. A word with a slash in it, or with .conf at its end, is a file, and
// any other word the name of an interface. (For wg-quick wg0.conf without a
// slash is a name, so that it looks for /etc/wireguard/wg0.conf.conf.)
func Locate(word string) (file, name string, err error) {
	if !strings.Contains(word, "/") && !strings.HasSuffix(word, suffix) {
		if err := conf.ValidInterfaceName(word); err != nil {
			return "", "", err
		}
		return path.Join(Folder, word+suffix), word, nil
	}
	base := path.Base(word)
	name, ok := strings.CutSuffix(base, suffix)
	if !ok {
		return "", "", invalid.Errorf("%s: the name of a configuration file is that of its interface and .conf: rename it, to wg0.conf for example", quotePath(word))
	}
	if err := conf.ValidInterfaceName(name); err != nil {
		return "", "", invalid.Errorf("%s: the name of a configuration file is that of its interface and .conf: %v", quotePath(word), err)
	}
	return word, name, nil
}
