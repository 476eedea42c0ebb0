package cli

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// What the shells make of the scripts. toy is a program that offers two verbs to
// whoever asks for a first word, and nothing to others.
func TestCompletionScripts(t *testing.T) {
	dir := t.TempDir()
	const toy = "#!/bin/sh\n[ \"$#\" = 2 ] || exit 0\nprintf 'alpha\\tthe first\\nalmost\\tthe second: it has a colon\\n'\n"
	if err := os.WriteFile(filepath.Join(dir, "toy"), []byte(toy), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "alfile"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		shell, words, run string
		want              []string
	}{
		{"bash", "toy al", `. ./script; COMP_WORDS=(toy al); COMP_CWORD=1; _toy_complete; printf '%s\n' "${COMPREPLY[@]}"`, []string{"alpha", "almost"}},
		{"zsh", "toy al", `_describe() { print -l -- $lines }; compdef() { }; fpath=($PWD); autoload _toy; words=(toy al); CURRENT=2; _toy`,
			[]string{"alpha:the first", "almost:the second: it has a colon"}},
		{"zsh", "toy x al", `_files() { echo files }; compdef() { }; words=(toy x al); CURRENT=3; . ./script; _toy_complete`, []string{"files"}},
		{"fish", "toy al", `source script; complete -C "toy al"`, []string{"almost\tthe second: it has a colon", "alpha\tthe first"}},
		{"fish", "toy x al", `source script; complete -C "toy x al"`, []string{"alfile"}},
	} {
		t.Run(tc.shell+" "+tc.words, func(t *testing.T) {
			path, err := exec.LookPath(tc.shell)
			if err != nil {
				t.Skipf("%s is not installed", tc.shell)
			}
			_, script, _ := runToy(t, "completion", tc.shell)
			for _, name := range []string{"script", "_toy"} { // sourced, and where zsh looks
				if err := os.WriteFile(filepath.Join(dir, name), []byte(script), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			cmd := exec.CommandContext(t.Context(), path, "-c", tc.run)
			cmd.Dir = dir
			cmd.Env = append(os.Environ(), "PATH="+dir+":"+os.Getenv("PATH"), "HOME="+dir)
			out, err := cmd.CombinedOutput()
			if got := strings.TrimSpace(string(out)); err != nil || got != strings.Join(tc.want, "\n") {
				t.Errorf("%v, got\n%s\nwant\n%s", err, got, strings.Join(tc.want, "\n"))
			}
		})
	}
}
