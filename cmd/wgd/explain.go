package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"time"

	"wgd/conf"
	"wgd/internal/cli"
	"wgd/internal/cli/show"
	"wgd/internal/control"
	"wgd/internal/explain"
	"wgd/internal/netsetup"
)

var explainForm = cli.Form{
	Syntax:  "explain [NAME] [PEER]",
	Example: "wgd explain wg0",
	Summary: "say why a tunnel works, or why not",
	Options: []cli.Option{{Long: "json", Text: "print the result as JSON"}},
	Text: []string{
		"For each interface and each peer, or those named, it says in a sentence in which state it is. If something does not work, the likeliest causes follow, from what was really " +
			"seen, and what to do about each. Nothing is changed. An endpoint that does not answer is sent an empty datagram, to learn whether ICMP says that it cannot be reached.",
		"The exit status is 0 whatever it says: that nothing was sent yet, for example, is no error. A program reads the JSON value.",
		"Some causes can be seen at one end only: an initiator whose key the peer does not know sees silence. The sentence then says where to look.",
		"The JSON value is a list of objects with the fields `interface`, `works` (whether the interface itself does), `text`, `reasons` and `peers`. A peer has the fields `name`, `state` " +
			"(`works`, `idle`, `trying`, `never-used` or `down`), `text` and `reasons`. A reason has the fields `cause` (a word, such as `preshared-key`), `text` and `remedy`.",
	},
	Run: runExplain,
}

// runExplain explains one interface, or all.
func runExplain(c *cli.Call) error {
	names := []string{c.Arg("NAME")}
	if names[0] == "" {
		var err error
		if names, err = control.Names(); err != nil {
			return err
		}
	}
	list := []explain.Interface{}
	var failed []error // interfaces that cannot be read do not hide the others
	for _, r := range control.Statuses(names) {
		if errors.Is(r.Err, control.ErrNotRunning) && c.Arg("NAME") == "" {
			continue // it has ended meanwhile
		}
		one, err := explain.Interface{}, r.Err
		if err == nil {
			one, err = explainInterface(&r.Status, c.Arg("PEER"))
		}
		if err != nil {
			failed = append(failed, err)
			continue
		}
		list = append(list, one)
	}
	if c.Has("json") && (len(list) > 0 || len(failed) == 0) {
		return errors.Join(c.PrintJSON(list), errors.Join(failed...))
	}
	w := bufio.NewWriter(c.Stdout)
	if len(list)+len(failed) == 0 {
		fmt.Fprintln(w, "no interface is running")
	}
	for i := range list {
		printExplanation(w, &list[i])
	}
	return errors.Join(w.Flush(), errors.Join(failed...))
}

// explainInterface explains an interface, and only one of its peers unless wanted is "".
func explainInterface(status *conf.Status, wanted string) (explain.Interface, error) {
	defer status.Erase()
	facts := explain.Facts{Now: time.Now(), Status: status, Names: show.Names(status.Peers), Host: hostFacts(status)}
	out := explain.Explain(facts)
	if wanted == "" {
		return out, nil
	}
	_, found, err := show.Find(status, wanted)
	if err != nil {
		return out, err
	}
	for _, p := range out.Peers {
		if p.Name == found {
			out.Peers = []explain.Peer{p}
			break
		}
	}
	return out, nil
}

// hostFacts asks the host, and the network about endpoints that do not answer.
func hostFacts(status *conf.Status) explain.Host {
	d := netsetup.Diagnose(status)
	d.AskNetwork(status)
	return explain.Host(d)
}

func printExplanation(w io.Writer, e *explain.Interface) {
	fmt.Fprintf(w, "%s: %s\n", e.Name, e.Text)
	printReasons(w, "\t", e.Reasons)
	for i := range e.Peers {
		fmt.Fprintf(w, "\tpeer %s: %s\n", e.Peers[i].Name, e.Peers[i].Text)
		printReasons(w, "\t\t", e.Peers[i].Reasons)
	}
}

func printReasons(w io.Writer, indent string, reasons []explain.Reason) {
	for _, r := range reasons {
		fmt.Fprintf(w, "%scause: %s\n%s\twhat to do: %s\n", indent, r.Text, indent, r.Remedy)
	}
}

// completeRunning offers the names of the interfaces that run, where one is expected.
func completeRunning(before []string) []string {
	if len(before) == 0 {
		return nil // a new interface
	}
	names, _ := control.Names()
	return names
}

// completePeer offers the names of the peers of the interface before it.
func completePeer(before []string) []string {
	if len(before) == 0 {
		return nil
	}
	status, err := control.StatusOf(before[len(before)-1])
	if err != nil {
		return nil
	}
	defer status.Erase()
	return show.Names(status.Peers)
}
