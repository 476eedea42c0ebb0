package main

import (
	"path/filepath"
	"strings"
	"testing"
)

// Other machines are served without a password only when that is asked for.
func TestServe_RefusesStrangers(t *testing.T) {
	password := filepath.Join(t.TempDir(), "password")
	writeFile(t, password, "correct horse battery\n")
	for _, tc := range []struct {
		args    []string
		refused bool
	}{
		{[]string{"--addr", "0.0.0.0:0"}, true},
		{[]string{"--addr", ":0"}, true},
		{[]string{"--addr", "[::]:0"}, true},
		{[]string{"--addr", "elsewhere.invalid:0"}, true},
		{[]string{"--addr", "0.0.0.0:0", "--open"}, false},
		{[]string{"--addr", "0.0.0.0:0", "--password-file", password}, false},
		{[]string{"--addr", "127.0.0.2:0"}, false},
		{[]string{"--addr", "localhost:0"}, false},
	} {
		t.Run(strings.Join(tc.args, " "), func(t *testing.T) {
			args := append(tc.args, "--dir", filepath.Join(t.TempDir(), "n"))
			if !tc.refused {
				startServe(t, nil, args...).stop()
				return
			}
			code, _, errs := run(t, append([]string{"serve", "--admin", "off"}, args...)...)
			if code != 2 || !strings.Contains(errs, "lets clients from other machines do everything, without a password") ||
				!strings.Contains(errs, "--users or --password-file, or --open") {
				t.Errorf("exit %d: %s", code, errs)
			}
		})
	}
}
