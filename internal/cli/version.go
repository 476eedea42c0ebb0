package cli

import (
	"cmp"
	"fmt"
	"io"
	"runtime"
	"runtime/debug"
)

// Version is what the binary knows about itself.
type Version struct {
	Name     string `json:"name"`
	Version  string `json:"version"`
	Commit   string `json:"commit,omitempty"`
	Modified bool   `json:"modified,omitempty"` // built from a changed tree
	Built    string `json:"committed,omitempty"`
	Go       string `json:"go"`
	OS       string `json:"os"`
	Arch     string `json:"arch"`
}

// version is set by the linker (make VERSION=), where who builds knows better than git.
var version string

// BuildVersion reads the build information that the Go tool put into the binary: a
// build in a git checkout knows the tag, or a version with date and commit.
func BuildVersion(name string) Version {
	v := Version{Name: name, Version: cmp.Or(version, "(devel)"), Go: runtime.Version(), OS: runtime.GOOS, Arch: runtime.GOARCH}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return v
	}
	v.Version = cmp.Or(version, info.Main.Version, v.Version)
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			v.Commit = s.Value
		case "vcs.time":
			v.Built = s.Value
		case "vcs.modified":
			v.Modified = s.Value == "true"
		}
	}
	return v
}

func writeVersion(w io.Writer, name string, asJSON bool) error {
	v := BuildVersion(name)
	if asJSON {
		return writeJSON(w, v)
	}
	line := fmt.Sprintf("%s %s", v.Name, v.Version)
	if len(v.Commit) >= 12 {
		line += " (" + v.Commit[:12]
		if v.Modified {
			line += ", modified"
		}
		line += ")"
	}
	_, err := fmt.Fprintf(w, "%s %s %s/%s\n", line, v.Go, v.OS, v.Arch)
	return err
}
