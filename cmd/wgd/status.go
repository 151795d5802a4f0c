package main

import (
	"bufio"
	"errors"
	"fmt"
	"time"

	"wgd/internal/cli"
	"wgd/internal/cli/show"
	"wgd/internal/control"
	"wgd/internal/explain"
	"wgd/internal/netsetup"
)

var statusForm = cli.Form{
	Syntax:  "status [NAME]",
	Example: "wgd status",
	Summary: "show the peers of an interface, or of all, in a line each",
	Options: []cli.Option{{Long: "json", Text: "print the result as JSON"}},
	Text: []string{
		"A line says in which state the interface is. Then each peer has a line: its name, or the digits that stand for it; its endpoint; when the last handshake was; what was received " +
			"and sent, in units of 1000; and its state, which is one of the words of wgd explain. Peers with which handshakes fail come first, then those that work, the others last.",
		"On a terminal, states have colours, unless NO_COLOR is set, and names and IPv6 endpoints are cut if the lines would be longer than the terminal is wide. Nothing is sent and nothing is changed.",
		"Interfaces whose daemon does not answer within five seconds are named at the end, with exit status 1.",
		"The JSON value is a list with an object for each interface, which is that of wgconfig NAME --json.",
	},
	Run: runStatus,
}

// runStatus shows one interface, or all.
func runStatus(c *cli.Call) error {
	names := []string{c.Arg("NAME")}
	if names[0] == "" {
		var err error
		if names, err = control.Names(); err != nil {
			return err
		}
	}
	layout := show.Layout{Columns: cli.Columns(c.Stdout), Colour: coloured(c.Stdout)}
	list := []show.JSONInterface{}
	w := bufio.NewWriter(c.Stdout)
	shown := 0
	var failed []error // interfaces that cannot be read do not hide the others
	for _, r := range control.Statuses(names) {
		if errors.Is(r.Err, control.ErrNotRunning) && c.Arg("NAME") == "" {
			continue // it has ended meanwhile
		}
		if r.Err != nil {
			failed = append(failed, r.Err)
			continue
		}
		facts := explain.Facts{Now: time.Now(), Status: &r.Status, Names: show.Names(r.Status.Peers)}
		if c.Has("json") {
			facts.Host = explain.Host(netsetup.Diagnose(&r.Status))
			list = append(list, show.InterfaceJSON(&facts))
		} else {
			if shown > 0 {
				w.WriteByte('\n')
			}
			show.Table(w, &facts, layout)
		}
		shown++
		r.Status.Erase()
	}
	if c.Has("json") {
		return errors.Join(c.PrintJSON(list), errors.Join(failed...))
	}
	if shown == 0 && len(failed) == 0 {
		fmt.Fprintln(w, "no interface is running")
	}
	return errors.Join(w.Flush(), errors.Join(failed...))
}
