package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"
)

const deployDir = "../../docs/deploy"

func deployFile(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(deployDir, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// The configuration file shows every flag of serve, and nothing else.
func TestDeploy_Configuration(t *testing.T) {
	text := deployFile(t, "nodedb.yaml")
	var got []string
	for _, m := range regexp.MustCompile(`(?m)^#?([a-z][a-z0-9-]*):(?: |$)`).FindAllStringSubmatch(text, -1) {
		got = append(got, m[1])
	}
	_, help, _ := run(t, "serve", "--help")
	var want []string
	for _, m := range regexp.MustCompile(`(?m)^  --([a-z-]+) `).FindAllStringSubmatch(help, -1) {
		if !slices.Contains([]string{"config", "json"}, m[1]) {
			want = append(want, m[1])
		}
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("keys  %q\nflags %q", got, want)
	}
	file := filepath.Join(t.TempDir(), "c.yaml")
	writeFile(t, file, regexp.MustCompile(`(?m)^#([a-z][a-z0-9-]*:|  - )`).ReplaceAllString(text, "$1"))
	if code, _, errs := run(t, "scan", "--config", file, "--dir", filepath.Join(t.TempDir(), "none")); code != 1 || !strings.Contains(errs, "does not exist") {
		t.Errorf("with every key set: exit %d %s", code, errs)
	}
}

// Dashboard and alerts ask for metrics that there are.
func TestDeploy_Metrics(t *testing.T) {
	sources, err := filepath.Glob("../../internal/admin/*.go")
	if err != nil || len(sources) == 0 {
		t.Fatalf("no sources of metrics: %v", err)
	}
	var code strings.Builder
	for _, s := range sources {
		text, err := os.ReadFile(s)
		if err != nil {
			t.Fatal(err)
		}
		code.Write(text)
	}
	dashboard, alerts := deployFile(t, "grafana.json"), deployFile(t, "alerts.yaml")
	var doc any
	if err := json.Unmarshal([]byte(dashboard), &doc); err != nil {
		t.Errorf("grafana.json: %v", err)
	}
	for _, name := range []string{"alerts.yaml", "nfpm.yaml"} {
		if err := yaml.Unmarshal([]byte(deployFile(t, name)), &doc); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	names := regexp.MustCompile(`nodedb_[a-z_]+`).FindAllString(dashboard+alerts, -1)
	if len(names) < 20 {
		t.Fatalf("only %d metrics are asked for", len(names))
	}
	for _, n := range names {
		if !strings.Contains(code.String(), `"`+strings.TrimSuffix(n, "_bucket")+`"`) {
			t.Errorf("there is no metric %s", n)
		}
	}
}
