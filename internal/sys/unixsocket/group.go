package unixsocket

import (
	"errors"
	"fmt"
	"math"
	"os"
	"os/user"
	"strconv"
	"syscall"
)

// A Group is a group of users that may connect to a socket besides its owner.
type Group struct {
	ID   uint32
	Name string // its number, if it has none
}

// A Peer is who has connected to a socket: the effective user and the groups, the primary
// one first, which the process had when it connected.
type Peer struct {
	UID    uint32
	Groups []uint32
}

// FindGroup returns the group with a name or number, for sockets of this process. An error
// says what is wrong with it, for a user.
func FindGroup(text string) (Group, error) {
	if err := errors.Join(noPeers, Unsupported); err != nil {
		return Group{}, err
	}
	g := Group{Name: text}
	if known, err := user.LookupGroup(text); err == nil {
		text = known.Gid
	}
	id, err := strconv.ParseUint(text, 10, 32)
	switch {
	case text == "":
		return Group{}, errors.New("give the name or the number of a group")
	case err != nil:
		return Group{}, errors.New("no such group in /etc/group: create it with groupadd(8), or give its number, which `getent group` prints")
	case id == math.MaxUint32: // chown(2) takes it as: leave the group as it is
		return Group{}, fmt.Errorf("no group has this number: give one up to %d", uint32(math.MaxUint32-1))
	case uint32(id) == unknownID("overflowgid"):
		return Group{}, errors.New("the kernel shows every group that a user namespace does not know as this one: choose another one")
	case uint32(os.Geteuid()) == unknownID("overflowuid"):
		return Group{}, fmt.Errorf("this process runs as user %d, which the kernel shows for every user that a user namespace does not know: run it as another user", os.Geteuid())
	}
	g.ID = uint32(id)
	return named(g.ID), nil
}

// named returns the group with a number.
func named(id uint32) Group {
	g := Group{ID: id, Name: strconv.FormatUint(uint64(id), 10)}
	if known, err := user.LookupGroupId(g.Name); err == nil {
		g.Name = known.Name
	}
	return g
}

// admit lets a group connect to the socket at the path, which only its owner may use.
func admit(path string, g Group) error {
	err := os.Chown(path, -1, int(g.ID))
	switch {
	case errors.Is(err, os.ErrPermission):
		// Not wrapped: the folder of the socket is not what is missing.
		return fmt.Errorf("this process may not give a socket to the group %s: make it a member of the group (SupplementaryGroups= in a unit of systemd), or give it CAP_CHOWN", g.Name)
	case errors.Is(err, syscall.EINVAL):
		return fmt.Errorf("the group %s has no number in this user namespace: choose one that has", g.Name)
	case err != nil:
		return fmt.Errorf("a socket for the group %s: %w", g.Name, err)
	}
	return os.Chmod(path, 0o660)
}
