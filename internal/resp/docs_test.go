package resp

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// The manual names every command that there is, every one that is refused with
// advice, and none that is neither.
func TestManual(t *testing.T) {
	text, err := os.ReadFile("../../docs/redis.md")
	if err != nil {
		t.Fatal(err)
	}
	section := func(title string) map[string]bool {
		_, rest, found := strings.Cut(string(text), "\n## "+title+"\n")
		if !found {
			t.Fatalf("docs/redis.md has no section %q", title)
		}
		rest, _, _ = strings.Cut(rest, "\n## ")
		names := make(map[string]bool)
		for line := range strings.Lines(rest) {
			if !strings.HasPrefix(line, "| ") {
				continue
			}
			if title != "Commands" {
				line, _, _ = strings.Cut(line[2:], "|")
			}
			for _, m := range regexp.MustCompile("`([A-Z][A-Z0-9_. ]*)`").FindAllStringSubmatch(line, -1) {
				names[strings.ToLower(m[1])] = true
			}
		}
		return names
	}
	there, not := section("Commands"), section("What is not there")
	commands := table()
	for name := range commands {
		if !there[name] {
			t.Errorf("docs/redis.md does not name %s", strings.ToUpper(name))
		}
	}
	for name := range there {
		if commands[name] == nil {
			t.Errorf("docs/redis.md names %s, which is no command", strings.ToUpper(name))
		}
	}
	for name := range absent {
		if !not[name] {
			t.Errorf("docs/redis.md does not say that %s is not there", strings.ToUpper(name))
		}
		if commands[name] != nil {
			t.Errorf("%s is there and is said not to be", strings.ToUpper(name))
		}
	}
	for name := range not {
		if absent[name] == "" {
			t.Errorf("docs/redis.md says that %s is not there; the server does not", strings.ToUpper(name))
		}
	}
}
