package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"wgd/internal/cli"
	"wgd/internal/wgconf"
)

var downForm = cli.Form{
	Syntax:  "down CONF",
	Example: "wgd down wg0",
	Summary: "take down an interface that wgd up brought up",
	Options: []cli.Option{optVerbose},
	Text:    downText,
	Run:     runDown,
}

var downText = []string{
	"PreDown is run, with SaveConfig the file is written as by wgd save, everything that wgd up did is undone, and PostDown is run. The hooks are those of the file, or if it cannot be read, those that it had at wgd up. " +
		"A hook that fails, or a file that cannot be written, does not keep the interface up; the exit status is then 1.",
	"Only what wgd up did is undone. An interface that was brought up in another way is refused.",
}

// runDown undoes what wgd up did.
func runDown(c *cli.Call) error {
	path, name, err := wgconf.Locate(c.Arg("CONF"))
	if err != nil {
		return err
	}
	s, err := begin(c, name)
	if err != nil {
		return err
	}
	defer s.end()
	if err := s.find(); err != nil {
		return err
	}
	return s.takeDown(context.Background(), s.hooks(path))
}

// find loads the record of what wgd up did.
func (s *session) find() error {
	record, err := s.setup.Store.Load(s.name)
	if err != nil {
		return err
	}
	s.setup.Record = record
	exists, err := s.kernel.Find(s.name)
	switch {
	case err != nil || record != nil:
		return err
	case !exists:
		return fmt.Errorf("%s: the interface is not up", s.name)
	}
	return fmt.Errorf("%s: wgd up did not bring this interface up: take it down with what did, wg-quick(8) or wg-ifconfig(8) for example", s.name)
}

// A downHooks is what to run before and after the interface is taken down.
type downHooks struct {
	pre, post  []string
	saveConfig bool
}

// hooks are those of the file as it is now, or if it cannot be read, those that it had
// when the interface was brought up.
func (s *session) hooks(path string) downHooks {
	recorded := downHooks{pre: s.setup.Record.PreDown, post: s.setup.Record.PostDown}
	text, _, err := readFile(path)
	if err == nil {
		defer clear(text)
		document := wgconf.Parse(text)
		defer document.Erase()
		file, problems := document.Decode(wgconf.Env{Dir: filepath.Dir(path), CheckOnly: true})
		if file != nil {
			change := file.Change()
			change.Erase()
			network := &file.Interface.Network
			return downHooks{commands(network.PreDown, s.name), commands(network.PostDown, s.name), network.SaveConfig}
		}
		err = problems.Err(path)
	}
	if len(recorded.pre)+len(recorded.post) > 0 {
		s.call.Warnf("%s: the hooks of wgd up are run, because the file cannot be used now: %v", s.name, plain(err))
	}
	return recorded
}

// takeDown takes the interface down whatever happens: a hook that fails does not keep
// it up.
func (s *session) takeDown(ctx context.Context, hooks downHooks) error {
	record := s.setup.Record
	var errs []error
	if record.Hooks {
		errs = append(errs, s.run(ctx, "PreDown", hooks.pre))
		if hooks.saveConfig {
			errs = append(errs, s.saveConfig())
		}
	}
	s.note(s.name + ": undo what wgd up did")
	errs = append(errs, s.setup.Undo())
	if record.Hooks {
		errs = append(errs, s.run(ctx, "PostDown", hooks.post))
	}
	return errors.Join(errs...)
}

// saveConfig does what SaveConfig asks for, if there is still something to save.
func (s *session) saveConfig() error {
	exists, err := s.kernel.Find(s.name)
	if err == nil && exists {
		err = s.findUp()
	}
	if err == nil && exists {
		_, err = s.save()
	}
	if err != nil {
		return fmt.Errorf("SaveConfig: %w", err)
	}
	return nil
}
