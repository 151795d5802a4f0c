package core

import (
	"fmt"
	"testing"
	"time"
)

// Jobs of all kinds, of many handshakes, run together in batches of any size, and all
// handshakes complete.
func TestJobsRunTogether(t *testing.T) {
	w := newWorld(t, 3)
	server := w.host()
	server.up()
	var clients []*host
	for range 12 {
		c := w.host()
		w.join(server, c)
		c.up()
		clients = append(clients, c)
	}
	for _, h := range w.hosts {
		h.hold = true
	}
	for i, c := range clients {
		if i%2 == 0 {
			c.send(server, fmt.Sprint("packet ", i))
		} else {
			server.send(c, fmt.Sprint("packet ", i))
		}
	}
	kinds := map[string]bool{}
	for round := 1; round < 100; round++ {
		type owned struct {
			host *host
			job  *Job
		}
		var all []owned
		for _, h := range w.hosts {
			for _, j := range h.jobs {
				all = append(all, owned{h, j})
				kinds[fmt.Sprintf("%T", j.work)] = true
			}
			h.jobs = nil
		}
		w.dice.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		for len(all) > 0 {
			n := min(len(all), 1+w.dice.IntN(round+3))
			var batch []*Job
			for _, o := range all[:n] {
				batch = append(batch, o.job)
			}
			RunTogether(batch)
			for _, o := range all[:n] {
				o.host.finish(o.job)
			}
			all = all[n:]
		}
		w.run(10 * time.Millisecond)
	}
	for _, m := range server.m.members {
		if (&answer{remote: m.remote}).products() != 3 || (&creation{remote: m.remote}).products() != 2 {
			t.Error("after a handshake, another one has as many products")
		}
	}
	if len(kinds) != 4 {
		t.Errorf("the jobs were of the kinds %v, want all four", kinds)
	}
	for i, c := range clients {
		to := c
		if i%2 == 0 {
			to = server
		}
		found := false
		for _, packet := range to.got {
			found = found || packet == fmt.Sprint("packet ", i)
		}
		if !found {
			t.Errorf("packet %d did not arrive", i)
		}
	}
}
