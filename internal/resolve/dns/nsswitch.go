package dns

import "strings"

// A source is where names are looked up: a service of nsswitch.conf.
type source struct {
	files     bool          // /etc/hosts; otherwise the name servers
	endsAfter map[Kind]bool // the kinds of failure after which no other source is tried
}

// The sources of a computer without nsswitch.conf.
var defaultSources = []source{{files: true}, {}}

// parseNSSwitch returns the sources for hosts: files and dns, in their order.
func parseNSSwitch(text string) []source {
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(line, "#")
		if database, services, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(database) == "hosts" {
			if list := parseServices(services); len(list) > 0 {
				return list
			}
		}
	}
	return defaultSources
}

func parseServices(text string) (list []source) {
	known := false // whether the service before an action is one of ours
	seen := map[bool]bool{}
	for text = strings.TrimSpace(text); text != ""; text = strings.TrimSpace(text) {
		if rest, ok := strings.CutPrefix(text, "["); ok {
			actions, after, _ := strings.Cut(rest, "]")
			if known {
				list[len(list)-1].endsAfter = parseActions(actions)
			}
			text = after
			continue
		}
		end := strings.IndexAny(text, " \t\r\n[")
		if end < 0 {
			end = len(text)
		}
		service := text[:end]
		text = text[end:]
		// systemd-resolved is asked as a name server, which resolv.conf names.
		files, dns := service == "files", service == "dns" || service == "resolve"
		known = (files || dns) && !seen[files]
		if known {
			seen[files] = true
			list = append(list, source{files: files})
		}
	}
	return list
}

// kindsOf are the failures that a status of nsswitch.conf means.
var kindsOf = map[string][]Kind{
	"notfound": {NotFound, NoAddress},
	"tryagain": {ServerFailed, NoAnswer},
	"unavail":  {NotAsked},
}

// parseActions parses what stands between brackets, such as "NOTFOUND=return" or
// "!UNAVAIL=return".
func parseActions(text string) map[Kind]bool {
	ends := map[Kind]bool{}
	for _, action := range strings.Fields(strings.ToLower(text)) {
		status, verb, _ := strings.Cut(action, "=")
		status, negated := strings.CutPrefix(status, "!")
		for name, kinds := range kindsOf {
			if (name == status) == negated {
				continue
			}
			for _, kind := range kinds {
				ends[kind] = verb == "return"
			}
		}
	}
	return ends
}
