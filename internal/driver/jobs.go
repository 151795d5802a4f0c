package driver

import "wgd/internal/core"

// Jobs holds the Diffie-Hellman jobs that wait for a CPU core, and counts the
// running ones. It is not safe for concurrent use.
//
// There are two lists, one for our own initiations and one for work on received
// messages. Next alternates between them, so neither list waits until the other
// one is empty (A44).
//
// Jobs run in batches. While batches run, jobs gather; Next never waits for more of
// them.
type Jobs struct {
	// Together is how many products of Diffie-Hellman are computed together in the
	// time of one. 0 counts as 1.
	Together int

	own     jobList
	others  jobList
	turn    bool // the next job is taken from others, unless it is empty
	batches int  // running
}

type jobList struct {
	waiting []*core.Job
	active  int
}

// Put appends a job. Their number is not limited: 10,000 peers may all need a
// handshake at the same moment.
func (l *Jobs) Put(j *core.Job) {
	list := l.listOf(j)
	list.waiting = append(list.waiting, j)
}

func (l *Jobs) listOf(j *core.Job) *jobList {
	if j.Initiates() {
		return &l.own
	}
	return &l.others
}

// Ready reports whether a job waits and fewer than limit batches are running.
func (l *Jobs) Ready(limit int) bool {
	return len(l.own.waiting)+len(l.others.waiting) > 0 && l.batches < limit
}

// Next removes the jobs to run together next, and appends them to batch: the one that
// has waited longest in the list whose turn it is, and, while there are jobs whose
// products fit beside it, these. A job must be waiting: see Ready.
func (l *Jobs) Next(batch []*core.Job) []*core.Job {
	l.batches++
	j := l.listInTurn().take(0)
	batch = append(batch, j)
	if l.Together <= 1 {
		return batch
	}
	// However many jobs are looked at below, the next batch begins with the other list:
	// otherwise a job that never fits could wait without end.
	defer func(turn bool) { l.turn = turn }(l.turn)
	for room := l.Together - j.Products(); room > 0; room -= j.Products() {
		list := l.listInTurn()
		i := list.find(room)
		if i < 0 {
			list = l.listInTurn()
			if i = list.find(room); i < 0 {
				break
			}
		}
		j = list.take(i)
		batch = append(batch, j)
	}
	return batch
}

// listInTurn returns the list to take the next job from.
func (l *Jobs) listInTurn() *jobList {
	from := &l.own
	if len(from.waiting) == 0 || l.turn && len(l.others.waiting) > 0 {
		from = &l.others
	}
	l.turn = from == &l.own
	return from
}

// searched is how many jobs of a list are looked at for one that fits.
const searched = 16

// find returns the number of the first waiting job with at most that many products,
// or -1.
func (l *jobList) find(products int) int {
	for i, j := range l.waiting[:min(searched, len(l.waiting))] {
		if j.Products() <= products {
			return i
		}
	}
	return -1
}

// take removes job number i.
func (l *jobList) take(i int) *core.Job {
	j := l.waiting[i]
	copy(l.waiting[1:i+1], l.waiting[:i])
	l.waiting[0] = nil
	if l.waiting = l.waiting[1:]; len(l.waiting) == 0 {
		l.waiting = nil
	}
	l.active++
	return j
}

// Done records that a batch returned by Next has run.
func (l *Jobs) Done(batch []*core.Job) {
	l.batches--
	for _, j := range batch {
		l.listOf(j).active--
	}
}

// OwnWaiting returns the number of waiting jobs that make our own initiations.
func (l *Jobs) OwnWaiting() int { return len(l.own.waiting) }

// Space returns how many handshake messages the machine may receive now, if up to
// limit batches run at once: enough to keep every core busy with full batches and no
// more, so that the rest stay in the inbox, whose length decides about load (A28). Our
// own initiations do not count: a storm of them must not block peers (A44). The result
// is negative when earlier messages led to more jobs than that.
func (l *Jobs) Space(limit int) int {
	return max(4, 2*l.Together)*limit - len(l.others.waiting) - l.others.active
}

// Clear removes and returns the waiting jobs.
func (l *Jobs) Clear() []*core.Job {
	list := append(l.own.waiting, l.others.waiting...)
	l.own.waiting, l.others.waiting = nil, nil
	return list
}
