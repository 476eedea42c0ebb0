package cli

import (
	"log/slog"
	"os"
)

// logLevel is what is logged; it can be changed while a verb runs.
type logLevel struct {
	slog.LevelVar
	usual string // the verb's default
}

func (l *logLevel) set(text string) error {
	var level slog.Level
	if err := level.UnmarshalText([]byte(text)); err != nil {
		return Usagef("--log-level is %q, want debug, info, warn or error", text)
	}
	l.Set(level)
	return nil
}

// ReloadLogLevel takes the log level from the configuration file again, unless the
// command line or the environment says what it is. It returns the level that holds
// then; with an error that is the old one.
func (c *Call) ReloadLogLevel() (slog.Level, error) {
	path := c.String("config")
	if path == "" || c.Given("log-level") || os.Getenv(EnvName("log-level")) != "" {
		return c.level.Level(), nil
	}
	values, err := readConfig(path)
	if err != nil {
		return c.level.Level(), err
	}
	text := c.level.usual
	for _, e := range values {
		if e.key == "log-level" && len(e.values) == 1 {
			text = e.values[0]
		}
	}
	err = c.level.set(text)
	return c.level.Level(), err
}
