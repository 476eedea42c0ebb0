package cli

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	ucli "github.com/urfave/cli/v2"
)

// writeHelp explains the verb at path, or the whole app.
func (a *App) writeHelp(w io.Writer, path []string) error {
	out := &errorWriter{w: w}
	verbs := a.Verbs
	var verb *Verb
	for _, name := range path[1:] {
		for _, v := range verbs {
			if v.Name == name {
				verb, verbs = v, v.Verbs
				break
			}
		}
	}
	name := strings.Join(path, " ")
	if verb == nil {
		out.printf("%s - %s\n\nUsage:\n  %s COMMAND [flags] [arguments]\n", name, a.Usage, name)
		out.paragraph(a.Description)
	} else {
		line := strings.TrimSpace(name + " " + verb.Args)
		if len(verb.Verbs) > 0 {
			line = name + " COMMAND"
		}
		out.printf("%s - %s\n\nUsage:\n  %s [flags]\n", name, verb.Usage, line)
		out.paragraph(verb.Description)
	}
	out.verbs(verbs)
	if verb != nil && verb.Run != nil {
		out.flags(verb)
	} else {
		out.printf("\n%s COMMAND --help tells more about a command.\n", name)
	}
	return out.err
}

// errorWriter keeps the first error, so that help can be written line by line.
type errorWriter struct {
	w   io.Writer
	err error
}

func (e *errorWriter) printf(format string, args ...any) {
	if e.err == nil {
		_, e.err = fmt.Fprintf(e.w, format, args...)
	}
}

func (e *errorWriter) paragraph(text string) {
	if text != "" {
		e.printf("\n%s\n", strings.TrimSpace(text))
	}
}

// verbs lists the visible verbs, by category in the order of first appearance.
func (e *errorWriter) verbs(verbs []*Verb) {
	var order []string
	groups := map[string][]*Verb{}
	for _, v := range verbs {
		if v.Hidden {
			continue
		}
		if groups[v.Category] == nil {
			order = append(order, v.Category)
		}
		groups[v.Category] = append(groups[v.Category], v)
	}
	for _, category := range order {
		title := category
		if title == "" {
			title = "Commands"
		}
		e.printf("\n%s:\n", title)
		for _, v := range groups[category] {
			e.printf("  %-14s %s\n", v.Name, v.Usage)
		}
	}
}

func (e *errorWriter) flags(v *Verb) {
	own, shared := []ucli.Flag{}, []ucli.Flag{}
	for _, f := range v.flags() {
		if c, ok := f.(ucli.CategorizableFlag); ok && c.GetCategory() == sharedFlags {
			shared = append(shared, f)
		} else {
			own = append(own, f)
		}
	}
	if len(own) > 0 {
		e.printf("\nFlags:\n")
		e.flagTable(own)
	}
	e.printf("\n%s:\n", sharedFlags)
	e.flagTable(shared)
	e.printf("\nA flag that is not given comes from the environment (--%s from %s),\nthen from the file of --config.\n",
		v.flags()[0].Names()[0], EnvName(v.flags()[0].Names()[0]))
}

// flagTable writes one line a flag. The word in back quotes of a usage text is
// the name of the value.
func (e *errorWriter) flagTable(flags []ucli.Flag) {
	t := tabwriter.NewWriter(e.w, 0, 0, 2, ' ', 0)
	for _, f := range flags {
		d, ok := f.(ucli.DocGenerationFlag)
		if !ok {
			continue
		}
		usage, value := d.GetUsage(), ""
		if d.TakesValue() {
			value = " VALUE"
			if parts := strings.Split(usage, "`"); len(parts) == 3 {
				if strings.ToUpper(parts[1]) == parts[1] {
					value = " " + parts[1]
				}
				usage = strings.Join(parts, "")
			}
		}
		if v := flagDefault(f, d); v != "" {
			usage += " (" + v + ")"
		}
		names := []string{}
		for _, n := range f.Names() {
			dash := "--"
			if len(n) == 1 {
				dash = "-"
			}
			names = append(names, dash+n)
		}
		if e.err == nil {
			_, e.err = fmt.Fprintf(t, "  %s%s\t%s\n", strings.Join(names, ", "), value, usage)
		}
	}
	if err := t.Flush(); e.err == nil {
		e.err = err
	}
}

func flagDefault(f ucli.Flag, d ucli.DocGenerationFlag) string {
	switch f := f.(type) {
	case *ucli.BoolFlag, *ucli.StringSliceFlag:
		return ""
	case *ucli.StringFlag:
		return f.Value
	case *ucli.DurationFlag:
		if f.Value == 0 {
			return ""
		}
		return shortDuration(f.Value.String())
	}
	if v := d.GetValue(); v != "0" {
		return v
	}
	return ""
}

// shortDuration drops the zero parts that time.Duration prints: 5m0s is 5m.
func shortDuration(s string) string {
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}
