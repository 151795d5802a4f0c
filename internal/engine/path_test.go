package engine

import (
	"testing"
	"time"

	"wgd/internal/sys/link"
)

// The MTU of a path is as the kernel knows it. A question about it repeats none about the
// route, and it is asked again at most once a second.
func TestPathMTU(t *testing.T) {
	c := newRouteBench(3)
	route := link.Route{Found: true, Interface: 1, Source: outer(1), PathMTU: 1280}
	c.kernel.Answer(constant(route))
	var a allowance
	sends := func() {
		for _, p := range c.peers {
			if p.NeedsPathMTU(p.Location(), c.now, true) {
				c.put(p)
			}
		}
		for len(c.queue) > 0 {
			c.step(&a, <-c.queue)
		}
	}
	before := c.kernel.Asked()
	for range 1000 {
		c.now = c.now.Add(10 * time.Millisecond)
		sends()
	}
	if n := c.kernel.Asked() - before; n != 3*10 {
		t.Errorf("%d questions about 3 peers in 10 seconds, want 30", n)
	}
	for _, p := range c.peers {
		if got, _ := p.Location().PathMTU(c.now); got != 1280 {
			t.Errorf("the MTU of the path is %d, want 1280", got)
		}
	}
	route.PathMTU = 0
	c.kernel.Answer(constant(route))
	c.now = c.now.Add(time.Second)
	sends()
	if got, _ := c.peers[0].Location().PathMTU(c.now); got != 0 {
		t.Errorf("the MTU of the path is %d, but the kernel has forgotten it", got)
	}
}

// The MTU of a route is known from the first lookup on.
func TestPathMTUOfARoute(t *testing.T) {
	c := newRouteBench(1)
	c.kernel.Answer(constant(link.Route{Found: true, Interface: 1, Source: outer(1), PathMTU: 1400}))
	c.changed(link.AllIPv4)
	c.sends()
	var a allowance
	c.step(&a, <-c.queue)
	if got, _ := c.peers[0].Location().PathMTU(c.now); got != 1400 {
		t.Errorf("the MTU of the path is %d, want 1400", got)
	}
}
