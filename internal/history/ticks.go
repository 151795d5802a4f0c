package history

import "time"

// A tick is a mark on the axis.
type tick struct {
	at   time.Time
	text string
}

// steps are the distances of ticks: parts of a day, then numbers of days.
var steps = []struct {
	seconds int // 0: it is a number of days
	days    int
}{
	{1, 0}, {5, 0}, {15, 0}, {30, 0}, {60, 0}, {5 * 60, 0}, {15 * 60, 0}, {30 * 60, 0}, {3600, 0}, {2 * 3600, 0}, {3 * 3600, 0}, {6 * 3600, 0}, {12 * 3600, 0},
	{0, 1}, {0, 2}, {0, 7}, {0, 14}, {0, 28}, {0, 91}, {0, 364}, {0, 3640},
}

// maxTicks is how many fit beside each other.
const maxTicks = 14

// ticks returns round times of a range, in the location of from.
func ticks(from, to time.Time) (list []tick) {
	for _, step := range steps {
		length := time.Duration(step.seconds)*time.Second + time.Duration(step.days)*24*time.Hour
		if to.Sub(from)/length >= maxTicks {
			continue
		}
		year, month, day := from.Date()
		layout := "15:04"
		switch {
		case step.days > 0:
			layout = "2 Jan"
		case step.seconds < 60:
			layout = "15:04:05"
		}
		// Each is made from its date, so that it is also round after a change to summer
		// time. The first ones are before the range.
		for i := 0; ; i++ {
			at := time.Date(year, month, day+i*step.days, 0, 0, i*step.seconds, 0, from.Location())
			if at.After(to) {
				return list
			}
			if !at.Before(from) && (len(list) == 0 || at.After(list[len(list)-1].at)) {
				list = append(list, tick{at, at.Format(layout)})
			}
		}
	}
	return nil
}
