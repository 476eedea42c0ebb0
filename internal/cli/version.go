package cli

import (
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

// BuildVersion reads the build information that the Go tool put into the binary.
func BuildVersion(name string) Version {
	v := Version{Name: name, Version: "(devel)", Go: runtime.Version(), OS: runtime.GOOS, Arch: runtime.GOARCH}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return v
	}
	if info.Main.Version != "" {
		v.Version = info.Main.Version
	}
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
