package main

import "testing"

// Others may begin until the last connection has ended, and none after that.
func TestCarrying(t *testing.T) {
	ended := func(none <-chan struct{}) bool {
		select {
		case <-none:
			return true
		default:
			return false
		}
	}
	var c carrying
	if !c.begin() {
		t.Fatal("none may begin")
	}
	none := c.finish()
	if ended(none) || !c.begin() {
		t.Error("while one connection is carried, another may not begin")
	}
	c.end()
	if ended(none) {
		t.Error("it ended before the last connection")
	}
	c.end()
	if !ended(none) || c.begin() || !ended(c.finish()) {
		t.Error("it has not ended after the last connection")
	}
	var idle carrying
	if !ended(idle.finish()) || idle.begin() {
		t.Error("it has not ended, although it carried nothing")
	}
}
