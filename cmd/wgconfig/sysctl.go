package main

import (
	"fmt"
	"strings"

	"wgd/conf"
	"wgd/internal/cli"
	"wgd/internal/control"
	"wgd/internal/quote"
)

// sysctl shows and sets tunables as sysctl(8) of NetBSD does. It applies all
// settings of one call as one Change.
func sysctl(c *cli.Call) error {
	words := c.Args(nameOrValue)
	if len(words) == 0 {
		if c.Has("w") {
			return cli.Usagef("-w needs NAME=VALUE")
		}
		words = []string{"net.wg"}
	}
	var change conf.TunablesChange
	changes := false
	for _, word := range words {
		name, value, set := strings.Cut(word, "=")
		switch {
		case set:
			changes = true
			if err := change.Set(name, value); err != nil {
				return err
			}
		case c.Has("w"):
			return cli.Usagef("%s has no value: -w needs NAME=VALUE", quote.Name(word))
		case !all(name):
			if _, err := new(conf.Tunables).Get(name); err != nil {
				return err
			}
		}
	}
	return withInterface(c, func(client *control.Client, status *conf.Status) error {
		if changes {
			if err := client.Apply(conf.Change{Tunables: change}); err != nil {
				return err
			}
		}
		return printTunables(c, words, &status.Tunables, change.ApplyTo(status.Tunables))
	})
}

// printTunables prints NAME = VALUE, or NAME: OLD -> NEW if the tunable was set.
func printTunables(c *cli.Call, words []string, was *conf.Tunables, is conf.Tunables) error {
	for _, word := range words {
		name, _, set := strings.Cut(word, "=")
		names := []string{name}
		if all(name) {
			names = conf.TunableNames()
		}
		for _, name := range names {
			before, err := was.Get(name)
			if err != nil {
				return err
			}
			after, _ := is.Get(name)
			line := name + " = " + after
			if set {
				line = name + ": " + before + " -> " + after
			}
			if _, err := fmt.Fprintln(c.Stdout, line); err != nil {
				return err
			}
		}
	}
	return nil
}

// all reports whether the name stands for all tunables.
func all(name string) bool { return strings.TrimSuffix(name, ".")+"." == conf.TunablePrefix }
