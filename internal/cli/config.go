package cli

import (
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
		for _, text := range e.values {
			if err := c.Set(e.key, text); err != nil {
				return Usagef("%s:%d: %s: %w", path, e.line, e.key, err)
			}
		}
	}
	return nil
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
	var doc yaml.Node
	if err := yaml.Unmarshal(text, &doc); err != nil {
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
