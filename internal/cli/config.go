package cli

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	ucli "github.com/urfave/cli/v2"
	"gopkg.in/yaml.v3"
)

// configBytesMax bounds a configuration file.
const configBytesMax = 1 << 20

// applyConfig sets the flags that neither the command line nor the environment
// set from the YAML file of --config. Keys are flag names; a list sets a flag
// that may be given several times. One file serves all verbs: a key that only
// another verb has is ignored, a key that no verb has is an error.
func (s *session) applyConfig(v *Verb, c *ucli.Context) error {
	path := c.String("config")
	if path == "" {
		return nil
	}
	values, err := readConfig(path)
	if err != nil {
		return &Error{Code: CodeUsage, Err: err}
	}
	for _, e := range values {
		f := findFlag(v.Flags, e.key)
		switch {
		case e.key == "config":
			return Usagef("%s:%d: config cannot be set in a configuration file", path, e.line)
		case f == nil && !s.anyVerbHas(e.key):
			return s.unknownKey(path, e)
		case f == nil || c.IsSet(e.key):
			continue
		}
		if _, many := f.(*ucli.StringSliceFlag); !many && len(e.values) != 1 {
			return Usagef("%s:%d: %s has %d values, want one", path, e.line, e.key, len(e.values))
		}
		for _, text := range e.values {
			if err := c.Set(e.key, text); err != nil {
				return Usagef("%s:%d: %s is %q: %w", path, e.line, e.key, text, wanted(f, err))
			}
		}
	}
	return nil
}

// wanted says what a flag takes where the parser of its value does not.
func wanted(f ucli.Flag, err error) error {
	switch f.(type) {
	case *ucli.BoolFlag:
		return errors.New("want true or false")
	case *ucli.IntFlag, *ucli.Int64Flag:
		return errors.New("want a whole number")
	case *ucli.UintFlag, *ucli.Uint64Flag:
		return errors.New("want a whole number, 0 or more")
	case *ucli.Float64Flag:
		return errors.New("want a number")
	case *ucli.DurationFlag:
		return errors.New("want a time like 90s, 5m or 24h")
	}
	return err
}

func (s *session) anyVerbHas(flag string) bool {
	for v := range leaves(s.app.Verbs) {
		if findFlag(v.flags(), flag) != nil {
			return true
		}
	}
	return false
}

func (s *session) unknownKey(path string, e configEntry) error {
	err := Usagef("%s:%d: no command has a flag %q", path, e.line, e.key)
	var names []string
	for v := range leaves(s.app.Verbs) {
		names = append(names, flagNames(v.flags())...)
	}
	if n := nearest(e.key, names); n != "" {
		return Hint(err, "did you mean %s?", n)
	}
	return err
}

type configEntry struct {
	key    string
	values []string
	line   int
}

// readConfig reads a mapping of flag names to scalars or lists of scalars.
func readConfig(path string) ([]configEntry, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, configBytesMax+1))
	if err != nil {
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	if len(text) > configBytesMax {
		return nil, fmt.Errorf("%s: configuration is larger than %s", path, FormatSize(configBytesMax))
	}
	var doc, more yaml.Node
	docs := yaml.NewDecoder(bytes.NewReader(text))
	if err := docs.Decode(&doc); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if err := docs.Decode(&more); err == nil {
		return nil, fmt.Errorf("%s:%d: a second document begins, want one", path, more.Line)
	} else if !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if doc.Kind == 0 {
		return nil, nil
	}
	root := doc.Content[0]
	if root.Kind != yaml.MappingNode {
		return nil, fmt.Errorf("%s:%d: want flag names and values, like \"dir: /data\"", path, root.Line)
	}
	var entries []configEntry
	for i := 0; i+1 < len(root.Content); i += 2 {
		k, v := root.Content[i], root.Content[i+1]
		key := strings.ReplaceAll(strings.TrimLeft(k.Value, "-"), "_", "-")
		if slices.ContainsFunc(entries, func(e configEntry) bool { return e.key == key }) {
			return nil, fmt.Errorf("%s:%d: %s is set twice", path, k.Line, key)
		}
		values, err := configValues(v)
		if err != nil {
			return nil, fmt.Errorf("%s:%d: %s: %w", path, v.Line, key, err)
		}
		entries = append(entries, configEntry{key: key, values: values, line: k.Line})
	}
	return entries, nil
}

func configValues(v *yaml.Node) ([]string, error) {
	switch v.Kind {
	case yaml.ScalarNode:
		if v.Tag == "!!null" {
			return nil, errors.New("has no value")
		}
		return []string{v.Value}, nil
	case yaml.SequenceNode:
		var out []string
		for _, item := range v.Content {
			if item.Kind != yaml.ScalarNode {
				return nil, errors.New("a list holds plain values only")
			}
			out = append(out, item.Value)
		}
		return out, nil
	}
	return nil, errors.New("want a value or a list of values")
}
