package cli

import (
	"slices"
	"strings"

	ucli "github.com/urfave/cli/v2"
)

// commandLine is a command line in the order that the flag parser wants:
// verbs, then flags, then --, then arguments.
type commandLine struct {
	path       []string // program and verbs
	flags      []string
	names      []string // of flags
	args       []string
	json       bool // --json is on the line
	help       bool
	version    bool
	incomplete bool // a group without a verb
}

func (l commandLine) argv() []string {
	return slices.Concat(l.path, l.flags, []string{"--"}, l.args)
}

// arrange sorts args into a commandLine. It knows every flag of the tree, so
// flags may stand anywhere, and a wrong one is refused here with the nearest
// right one, before anything runs.
func (a *App) arrange(args []string) (commandLine, error) {
	l := commandLine{path: []string{a.Name}, json: jsonWanted(args)}
	s := arranger{app: a, line: &l, verbs: a.Verbs}
	for len(args) > 0 {
		n, err := s.take(args)
		if err != nil {
			return l, err
		}
		args = args[n:]
	}
	switch {
	case l.version || l.help:
		return l, nil
	case s.verb == nil || len(s.verb.Verbs) > 0:
		l.incomplete = true
		return l, nil
	}
	return l, s.check()
}

type arranger struct {
	app   *App
	line  *commandLine
	verbs []*Verb // where the next verb is looked up
	verb  *Verb   // innermost so far
}

// take consumes the next word (and the value of a flag) and says how many
// words that were.
func (s *arranger) take(args []string) (int, error) {
	word := args[0]
	leaf := s.verb != nil && len(s.verb.Verbs) == 0
	switch {
	case word == "--":
		if !leaf {
			return 0, Usagef("%s: a command must come before --", strings.Join(s.line.path, " "))
		}
		s.line.args = append(s.line.args, args[1:]...)
		return len(args), nil
	case isFlag(word) && !(leaf && isNumber(word)):
		return s.takeFlag(args)
	case leaf:
		s.line.args = append(s.line.args, word)
		return 1, nil
	case word == "help":
		s.line.help = true
		return 1, nil
	}
	i := slices.IndexFunc(s.verbs, func(v *Verb) bool { return v.Name == word })
	if i < 0 {
		return 0, s.unknownVerb(word)
	}
	s.verb = s.verbs[i]
	s.verbs = s.verb.Verbs
	s.line.path = append(s.line.path, word)
	return 1, nil
}

func (s *arranger) takeFlag(args []string) (int, error) {
	name, _, hasValue := strings.Cut(strings.TrimLeft(args[0], "-"), "=")
	switch name {
	case "help", "h":
		s.line.help = true
		return 1, nil
	case "version":
		s.line.version = true
		return 1, nil
	}
	f := s.lookup(name)
	if f == nil {
		return 0, s.unknownFlag(name)
	}
	words := []string{args[0]}
	if takesValue(f) && !hasValue {
		if len(args) < 2 {
			return 0, Usagef("flag --%s needs a value", name)
		}
		words = args[:2]
	}
	s.line.names = append(s.line.names, name)
	s.line.flags = append(s.line.flags, words...)
	return len(words), nil
}

// lookup finds a flag of the current verb, or before the verb is known a flag
// of any verb: check complains later if the verb does not have it.
func (s *arranger) lookup(name string) ucli.Flag {
	if s.verb != nil && s.verb.Run != nil {
		return findFlag(s.verb.flags(), name)
	}
	for v := range leaves(s.verbs) {
		if f := findFlag(v.flags(), name); f != nil {
			return f
		}
	}
	return nil
}

// check is done when the verb is known: every flag must be one of its own and
// the number of arguments must fit.
func (s *arranger) check() error {
	for _, n := range s.line.names {
		if findFlag(s.verb.flags(), n) == nil {
			return s.unknownFlag(n)
		}
	}
	v, got := s.verb, len(s.line.args)
	name := strings.Join(s.line.path, " ")
	switch {
	case v.ArgsMax == 0 && got > 0:
		return Usagef("%s takes no arguments, but got %q", name, s.line.args[0])
	case got < v.ArgsMin:
		return Usagef("%s needs %s, but got %s", name, v.Args, Plural(got, "argument"))
	case v.ArgsMax >= 0 && got > v.ArgsMax:
		return Usagef("%s takes %s, but got %s (quote what holds spaces)", name, v.Args, Plural(got, "argument"))
	}
	return nil
}

func (s *arranger) unknownVerb(word string) error {
	var names []string
	for _, v := range s.verbs {
		if !v.Hidden {
			names = append(names, v.Name)
		}
	}
	err := Usagef("%s has no command %q", strings.Join(s.line.path, " "), word)
	if n := nearest(word, names); n != "" {
		return Hint(err, "did you mean %s?", n)
	}
	return Hint(err, "commands are: %s", strings.Join(names, ", "))
}

func (s *arranger) unknownFlag(name string) error {
	err := Usagef("%s has no flag --%s", strings.Join(s.line.path, " "), name)
	if s.verb != nil && s.verb.Elsewhere[name] != "" {
		return Hint(err, "%s", s.verb.Elsewhere[name])
	}
	var names []string
	if s.verb != nil {
		names = flagNames(s.verb.flags())
	} else {
		for v := range leaves(s.verbs) {
			names = append(names, flagNames(v.flags())...)
		}
	}
	if n := nearest(name, names); n != "" {
		return Hint(err, "did you mean --%s?", n)
	}
	return err
}

// jsonWanted finds --json before anything is understood, so that even a usage
// error is answered in the form that was asked for.
func jsonWanted(args []string) bool {
	for _, a := range args {
		switch a {
		case "--":
			return false
		case "--json", "-json", "--json=true":
			return true
		}
	}
	return envBool("json")
}

func isFlag(s string) bool { return len(s) > 1 && s[0] == '-' }

func isNumber(s string) bool {
	return len(s) > 1 && strings.Trim(s[1:], "0123456789") == ""
}

// leaves yields every verb that can run, depth first.
func leaves(verbs []*Verb) func(yield func(*Verb) bool) {
	return func(yield func(*Verb) bool) {
		var walk func([]*Verb) bool
		walk = func(vs []*Verb) bool {
			for _, v := range vs {
				if v.Run != nil && !yield(v) {
					return false
				}
				if !walk(v.Verbs) {
					return false
				}
			}
			return true
		}
		walk(verbs)
	}
}
