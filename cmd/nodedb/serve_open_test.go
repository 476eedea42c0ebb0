package main

import (
	"bufio"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// Who serves other machines without a password is told.
func TestServe_SaysThatItIsOpen(t *testing.T) {
	password := filepath.Join(t.TempDir(), "password")
	writeFile(t, password, "correct horse battery\n")
	for _, tc := range []struct {
		name string
		args []string
		want bool
	}{
		{"everywhere", []string{"--addr", "0.0.0.0:0"}, true},
		{"everywhere, with a password", []string{"--addr", "0.0.0.0:0", "--password-file", password}, false},
		{"loopback", []string{"--addr", "127.0.0.1:0"}, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			cmd := child(t.Context(), "nodedb", append([]string{"serve", "--admin", "off", "--dir", filepath.Join(t.TempDir(), "n")}, tc.args...)...)
			stderr, err := cmd.StderrPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			said := false
			log := bufio.NewScanner(stderr)
			for log.Scan() {
				said = said || strings.Contains(log.Text(), "whoever reaches it may do everything")
				if strings.HasPrefix(log.Text(), "running") {
					if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
						t.Fatal(err)
					}
				}
			}
			if err := cmd.Wait(); err != nil {
				t.Fatal(err)
			}
			if said != tc.want {
				t.Errorf("said %v, want %v", said, tc.want)
			}
		})
	}
}
