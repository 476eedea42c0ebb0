package function

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Env gives the value of an environment variable, "" when it is not set.
type Env func(name string) string

// Bool is a variable that is true or false.
func (env Env) Bool(name string, byDefault bool) (bool, error) {
	switch v := env(name); v {
	case "":
		return byDefault, nil
	case "true":
		return true, nil
	case "false":
		return false, nil
	default:
		return false, fmt.Errorf("%s is %q, want true or false", name, v)
	}
}

// Duration is a variable like 90s or 24h, not negative.
func (env Env) Duration(name string, byDefault time.Duration) (time.Duration, error) {
	v := env(name)
	if v == "" {
		return byDefault, nil
	}
	d, err := time.ParseDuration(v)
	if err != nil || d < 0 {
		return 0, fmt.Errorf("%s is %q, want a duration like 90s or 24h", name, v)
	}
	return d, nil
}

// Bytes is a variable that is a number of bytes.
func (env Env) Bytes(name string, byDefault int64) (int64, error) {
	v := env(name)
	if v == "" {
		return byDefault, nil
	}
	n, err := strconv.ParseInt(v, 10, 64)
	if err != nil || n < 0 {
		return 0, fmt.Errorf("%s is %q, want a number of bytes", name, v)
	}
	return n, nil
}

// List is a variable whose values are separated by commas.
func (env Env) List(name string) []string {
	var out []string
	for v := range strings.SplitSeq(env(name), ",") {
		if v = strings.TrimSpace(v); v != "" {
			out = append(out, v)
		}
	}
	return out
}
