package main

import (
	"strconv"
	"time"

	"wgd/internal/cli"
	"wgd/internal/quote"
)

// timeLayouts are those that --since and --until accept, apart from ages. The flag says
// that the date is missing: it is that of today.
var timeLayouts = []struct {
	layout string
	today  bool
}{
	{time.RFC3339Nano, false},
	{"2006-01-02 15:04:05", false}, {"2006-01-02T15:04:05", false}, {"2006-01-02 15:04", false}, {"2006-01-02T15:04", false},
	{"2006-01-02", false}, {"15:04:05", true}, {"15:04", true},
}

// parseRange reads --since and --until.
func parseRange(c *cli.Call, now time.Time) (r historyRange, err error) {
	for option, to := range map[string]*time.Time{optSince: &r.since, "until": &r.until} {
		word, given := c.Value(option)
		if !given {
			continue
		}
		var ok bool
		if *to, ok = parseMoment(word, now); !ok {
			return r, cli.Usagef("--%s %s: give a date, a time of today, both (2026-11-29, 14:30, \"2026-11-29 14:30\"), or an age (90m, 24h, 7d)", option, quote.Text(word))
		}
	}
	if !r.since.IsZero() && !r.until.IsZero() && !r.since.Before(r.until) {
		return r, cli.Usagef("--since is not before --until: exchange them")
	}
	return r, nil
}

// maxAge is that of the oldest time that can be asked for.
const maxAge = 100 * 365 * 24 * time.Hour

// parseMoment returns the time that a word means.
func parseMoment(word string, now time.Time) (t time.Time, ok bool) {
	if age, ok := parseAge(word); ok {
		return now.Add(-age), true
	}
	for _, l := range timeLayouts {
		t, err := time.ParseInLocation(l.layout, word, now.Location())
		switch {
		case err != nil:
			continue
		case l.today:
			y, m, d := now.Date()
			t = time.Date(y, m, d, t.Hour(), t.Minute(), t.Second(), 0, now.Location())
		}
		return t, !t.Before(now.Add(-maxAge)) && !t.After(now.Add(maxAge))
	}
	return time.Time{}, false
}

// ageUnits are the units of an age.
var ageUnits = map[byte]time.Duration{
	's': time.Second, 'm': time.Minute, 'h': time.Hour, 'd': 24 * time.Hour, 'w': 7 * 24 * time.Hour,
}

// parseAge reads numbers with units, such as 90m or 1d12h.
func parseAge(word string) (age time.Duration, ok bool) {
	for word != "" {
		n := 0
		for n < len(word) && '0' <= word[n] && word[n] <= '9' {
			n++
		}
		count, err := strconv.ParseInt(word[:n], 10, 32)
		if err != nil || n == len(word) {
			return 0, false
		}
		unit := ageUnits[word[n]]
		if unit == 0 || count > int64((maxAge-age)/unit) {
			return 0, false
		}
		age, ok = age+time.Duration(count)*unit, true
		word = word[n+1:]
	}
	return age, ok
}
