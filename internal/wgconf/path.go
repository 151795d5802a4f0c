package wgconf

import (
	"path"
	"strings"

	"wgd/conf"
	"wgd/internal/invalid"
)

// Folder is the folder of files that are found by the name of their interface.
const Folder = "/etc/wireguard"

const suffix = ".conf"

// Locate returns the file that an argument CONF|NAME of a command means, and the name
// of its interface. An argument with a slash, or that ends in .conf, is a file; any
// other is the name of an interface. (To wg-quick, wg0.conf without a slash is a name:
// it looks for /etc/wireguard/wg0.conf.conf.)
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
