package cli

import (
	"os"
	"slices"
	"strconv"
	"strings"

	ucli "github.com/urfave/cli/v2"
)

// EnvPrefix starts the name of every environment variable that a flag reads.
const EnvPrefix = "NODEDB_"

// EnvName is the environment variable of a flag.
func EnvName(flag string) string {
	return EnvPrefix + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

func envBool(flag string) bool {
	b, err := strconv.ParseBool(os.Getenv(EnvName(flag)))
	return err == nil && b
}

// flags are the verb's own and those that every verb has. The list is made
// once: the parser keeps values in the flags.
func (v *Verb) flags() []ucli.Flag {
	if v.Run == nil || findFlag(v.Flags, "json") != nil {
		return v.Flags
	}
	v.Flags = append(slices.Clip(v.Flags),
		&ucli.BoolFlag{Name: "json", Category: sharedFlags, Usage: "write one JSON document to standard output"},
		&ucli.StringFlag{Name: "config", Category: sharedFlags, Usage: "read flags from a YAML `FILE`"},
		&ucli.StringFlag{Name: "progress", Category: sharedFlags, Value: "auto", Usage: "`auto`, bar, json or none, on standard error"},
		&ucli.StringFlag{Name: "log-level", Category: sharedFlags, Value: v.logLevel(), Usage: "`debug`, info, warn or error"},
		&ucli.StringFlag{Name: "log-format", Category: sharedFlags, Value: "text", Usage: "`text` or json"},
	)
	return v.Flags
}

func (v *Verb) logLevel() string {
	if v.LogLevel == "" {
		return "warn"
	}
	return v.LogLevel
}

const sharedFlags = "Every command"

// withEnv gives every flag its environment variable.
func withEnv(flags []ucli.Flag) {
	for _, f := range flags {
		env := []string{EnvName(f.Names()[0])}
		switch f := f.(type) {
		case *ucli.BoolFlag:
			f.EnvVars = env
		case *ucli.StringFlag:
			f.EnvVars = env
		case *ucli.StringSliceFlag:
			f.EnvVars = env
		case *ucli.IntFlag:
			f.EnvVars = env
		case *ucli.UintFlag:
			f.EnvVars = env
		case *ucli.Uint64Flag:
			f.EnvVars = env
		case *ucli.Int64Flag:
			f.EnvVars = env
		case *ucli.Float64Flag:
			f.EnvVars = env
		case *ucli.DurationFlag:
			f.EnvVars = env
		case *ucli.GenericFlag:
			f.EnvVars = env
		default:
			panic("cli: flag kind without environment variable: --" + f.Names()[0])
		}
	}
}

func findFlag(flags []ucli.Flag, name string) ucli.Flag {
	for _, f := range flags {
		if slices.Contains(f.Names(), name) {
			return f
		}
	}
	return nil
}

func flagNames(flags []ucli.Flag) []string {
	var names []string
	for _, f := range flags {
		names = append(names, f.Names()...)
	}
	return names
}

func takesValue(f ucli.Flag) bool {
	d, ok := f.(ucli.DocGenerationFlag)
	return ok && d.TakesValue()
}

// Size is a flag value in bytes: "64MiB", "1.5G", "4096".
type Size int64

// SizeFlag declares a flag whose value is a number of bytes.
func SizeFlag(name string, value Size, usage string) ucli.Flag {
	v := value
	return &ucli.GenericFlag{Name: name, Value: &v, Usage: usage}
}

// Set implements flag.Value.
func (s *Size) Set(text string) error {
	n, err := ParseSize(text)
	if err != nil {
		return err
	}
	*s = Size(n)
	return nil
}

// String implements flag.Value.
func (s *Size) String() string {
	if *s == 0 {
		return ""
	}
	return FormatSize(int64(*s))
}
