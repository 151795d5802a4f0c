package cli

import "runtime/debug"

// version is set when a release is built:
// go build -ldflags "-X wgd/internal/cli.version=1.2"
var version string

// Version returns the release, or else the revision that the program was built from.
func Version() string {
	if version != "" {
		return version
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	for _, setting := range info.Settings {
		if setting.Key == "vcs.revision" && len(setting.Value) >= 12 {
			return "devel-" + setting.Value[:12]
		}
	}
	return "devel"
}
