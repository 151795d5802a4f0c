package serve

import (
	"context"
	"sync"
	"testing"
	"time"
)

// An endingContext ends when it is asked whether it has ended, and says that it has not.
type endingContext struct {
	context.Context
	end context.CancelFunc
}

func (c endingContext) Err() error {
	err := c.Context.Err()
	c.end()
	time.Sleep(10 * time.Millisecond) // for what happens at the end of a context
	return err
}

// Who is about to wait for a task when the context ends is released.
func TestTasksEnd(t *testing.T) {
	var mu sync.Mutex
	ts := newTasks(&mu)
	ctx, cancel := context.WithCancel(t.Context())
	released := make(chan *task)
	go func() { released <- ts.next(endingContext{ctx, cancel}) }()
	select {
	case got := <-released:
		if got != nil {
			t.Error("a task out of nothing")
		}
	case <-time.After(10 * time.Second):
		t.Fatal("it waits for ever")
	}
}
