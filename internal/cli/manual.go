package cli

import (
	"fmt"
	"strings"

	ucli "github.com/urfave/cli/v2"
)

// Manual is the command's page for man(1), made of the same verbs as its help.
func (a *App) Manual() string {
	var b strings.Builder
	fmt.Fprintf(&b, ".TH %s 1\n.SH NAME\n%s \\- %s\n", strings.ToUpper(a.Name), roff(a.Name), roff(a.Usage))
	fmt.Fprintf(&b, ".SH SYNOPSIS\n.B %s\n.I COMMAND\n[flags] [arguments]\n", roff(a.Name))
	fmt.Fprintf(&b, ".SH DESCRIPTION\n%s\n.SH COMMANDS\n", roff(a.Description))
	manualVerbs(&b, a.Name, a.Verbs)
	fmt.Fprintf(&b, ".SH ENVIRONMENT\nEvery flag that is not given comes from a variable: %s from %s.\nThen it comes from the YAML file of %s.\n",
		roff("--log-level"), roff(EnvName("log-level")), roff("--config"))
	return b.String()
}

func manualVerbs(b *strings.Builder, path string, verbs []*Verb) {
	for _, v := range verbs {
		if v.Hidden {
			continue
		}
		name := path + " " + v.Name
		if v.Run != nil {
			fmt.Fprintf(b, ".SS %s\n%s.\n", roff(strings.TrimSpace(name+" "+v.Args)), roff(v.Usage))
			if v.Description != "" {
				fmt.Fprintf(b, ".PP\n%s\n", roff(v.Description))
			}
			for _, f := range v.flags() {
				manualFlag(b, f)
			}
		}
		manualVerbs(b, name, v.Verbs)
	}
}

// manualFlag leaves out what every command has.
func manualFlag(b *strings.Builder, f ucli.Flag) {
	if c, ok := f.(ucli.CategorizableFlag); ok && c.GetCategory() == sharedFlags {
		return
	}
	d, ok := f.(ucli.DocGenerationFlag)
	if !ok {
		return
	}
	usage := strings.ReplaceAll(d.GetUsage(), "`", "")
	if v := flagDefault(f, d); v != "" {
		usage += " (" + v + ")"
	}
	fmt.Fprintf(b, ".TP\n.B %s\n%s\n", roff("--"+f.Names()[0]), roff(usage))
}

// roff escapes text: nothing in it is a request or a hyphen that may break.
func roff(text string) string {
	text = strings.NewReplacer(`\`, `\e`, "-", `\-`).Replace(strings.TrimSpace(text))
	lines := strings.Split(text, "\n")
	for i, l := range lines {
		switch {
		case l == "":
			lines[i] = ".PP"
		case l[0] == '.' || l[0] == '\'':
			lines[i] = `\&` + l
		}
	}
	return strings.Join(lines, "\n")
}
