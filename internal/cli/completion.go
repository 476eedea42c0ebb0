package cli

import (
	"fmt"
	"io"
	"slices"
	"strings"

	ucli "github.com/urfave/cli/v2"
)

// completeVerb is what the shell scripts call: the words typed so far, the
// last one being completed. It answers one candidate a line, a tab and its
// description. No candidates means file names.
const completeVerb = "__complete"

// CompletionVerb is the verb that prints the shell scripts.
func CompletionVerb(name string) *Verb {
	v := &Verb{
		Name: "completion", Usage: "print a completion script for bash, zsh or fish", Category: "Other",
		Args: "bash|zsh|fish", ArgsMin: 1, ArgsMax: 1,
		Description: strings.ReplaceAll(completionUsage, "NAME", name),
	}
	v.Run = func(c *Call) error {
		script, ok := completionScripts[c.Arg(0)]
		if !ok {
			return Usagef("no completion for %q, want bash, zsh or fish", c.Arg(0))
		}
		script = strings.ReplaceAll(script, "FUNC", strings.ReplaceAll(name, "-", "_"))
		script = strings.ReplaceAll(script, "NAME", name)
		return c.Answer(map[string]string{"shell": c.Arg(0), "script": script}, func(w io.Writer) error {
			_, err := io.WriteString(w, script)
			return err
		})
	}
	return v
}

const completionUsage = `bash:  source <(NAME completion bash)
zsh:   source <(NAME completion zsh)
fish:  NAME completion fish | source`

var completionScripts = map[string]string{
	"bash": `# bash completion for NAME
_FUNC_complete() {
    local IFS=$'\n' cur="${COMP_WORDS[COMP_CWORD]}" words
    words=$(NAME __complete "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null | cut -f1)
    COMPREPLY=($(compgen -W "$words" -- "$cur"))
}
complete -o default -F _FUNC_complete NAME
`,
	"zsh": `#compdef NAME
_FUNC_complete() {
    local -a lines
    local line
    for line in "${(@f)$(NAME __complete "${(@)words[2,CURRENT]}" 2>/dev/null)}"; do
        [[ -n "$line" ]] && lines+=("${${line%%$'\t'*}//:/\\:}:${line#*$'\t'}")
    done
    if (( ${#lines} )); then
        _describe 'NAME' lines
    else
        _files
    fi
}
compdef _FUNC_complete NAME
# As a file of $fpath it is read by the first completion, which it then answers.
[[ "${funcstack[1]}" != _NAME ]] || _FUNC_complete "$@"
`,
	"fish": `# fish completion for NAME
function __FUNC_complete
    set -l words (commandline -opc) (commandline -ct)
    set -l found (NAME __complete $words[2..-1] 2>/dev/null)
    if set -q found[1]
        printf '%s\n' $found
    else
        __fish_complete_path (commandline -ct)
    end
end
complete -c NAME -f -a '(__FUNC_complete)'
`,
}

// flagChoices are the values of flags that have few.
var flagChoices = map[string][]string{
	"progress":         {"auto", "bar", "json", "none"},
	"log-level":        {"debug", "info", "warn", "error"},
	"log-format":       {"text", "json"},
	"on-archive-stall": {"block", "shed"},
	"format":           {"auto", "jsonl", "tsv", "dir"},
}

// complete writes the candidates for the last of words.
func (a *App) complete(w io.Writer, words []string) {
	if len(words) == 0 {
		words = []string{""}
	}
	current, verbs := words[len(words)-1], a.Verbs
	var verb *Verb
	var waiting ucli.Flag // flag whose value comes next
	for _, word := range words[:len(words)-1] {
		if waiting != nil {
			waiting = nil
			continue
		}
		if isFlag(word) {
			if verb != nil && !strings.Contains(word, "=") {
				if f := findFlag(verb.flags(), strings.TrimLeft(word, "-")); f != nil && takesValue(f) {
					waiting = f
				}
			}
			continue
		}
		if i := slices.IndexFunc(verbs, func(v *Verb) bool { return v.Name == word }); i >= 0 {
			verb, verbs = verbs[i], verbs[i].Verbs
		}
	}
	for _, c := range candidates(verb, verbs, waiting, current) {
		if strings.HasPrefix(c[0], current) {
			fmt.Fprintf(w, "%s\t%s\n", c[0], c[1])
		}
	}
}

func candidates(verb *Verb, verbs []*Verb, waiting ucli.Flag, current string) [][2]string {
	var out [][2]string
	switch {
	case waiting != nil:
		for _, c := range flagChoices[waiting.Names()[0]] {
			out = append(out, [2]string{c, ""})
		}
	case strings.HasPrefix(current, "-") && verb != nil:
		for _, f := range verb.flags() {
			usage := ""
			if d, ok := f.(ucli.DocGenerationFlag); ok {
				usage = strings.ReplaceAll(d.GetUsage(), "`", "")
			}
			out = append(out, [2]string{"--" + f.Names()[0], usage})
		}
	case len(verbs) > 0:
		for _, v := range verbs {
			if !v.Hidden {
				out = append(out, [2]string{v.Name, v.Usage})
			}
		}
	case verb != nil && verb.Name == "completion":
		for _, s := range []string{"bash", "zsh", "fish"} {
			out = append(out, [2]string{s, ""})
		}
	}
	return out
}
