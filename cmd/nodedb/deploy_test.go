package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

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

// What is packed is there, with a mode of its own: the umask of who builds is not shipped.
func TestDeploy_Package(t *testing.T) {
	var doc struct {
		Contents []struct {
			Src, Dst string
			FileInfo struct{ Mode os.FileMode } `yaml:"file_info"`
		}
		Scripts map[string]string
	}
	if err := yaml.Unmarshal([]byte(deployFile(t, "nfpm.yaml")), &doc); err != nil {
		t.Fatal(err)
	}
	var sources []string
	for _, c := range doc.Contents {
		want := os.FileMode(0o644)
		if strings.HasPrefix(c.Dst, "/usr/bin/") {
			want = 0o755
		}
		if c.FileInfo.Mode != want {
			t.Errorf("%s has mode %v, want %v", c.Dst, c.FileInfo.Mode, want)
		}
		sources = append(sources, c.Src)
	}
	for _, script := range doc.Scripts {
		sources = append(sources, script)
	}
	if len(sources) < 10 {
		t.Fatalf("only %q are packed", sources)
	}
	for _, src := range sources {
		if strings.HasPrefix(src, "dist/") {
			continue // built
		}
		if _, err := os.Stat(filepath.Join("../..", src)); err != nil {
			t.Error(err)
		}
	}
}

// A symbol that is not there is passed over by the linker without a word.
func TestDeploy_VersionSymbol(t *testing.T) {
	text, err := os.ReadFile("../../Makefile")
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(`-X github\.com/nodedb-go/nodedb/(\S+)\.(\w+)=`).FindSubmatch(text)
	if m == nil {
		t.Fatal("the Makefile sets no version")
	}
	source, err := os.ReadFile(filepath.Join("../..", string(m[1]), "version.go"))
	if err != nil || !strings.Contains(string(source), "\nvar "+string(m[2])+" string\n") {
		t.Errorf("%s has no variable %s: %v", m[1], m[2], err)
	}
}

// The unit lets the node write where the configuration has it write, and waits for
// the drain.
func TestDeploy_Unit(t *testing.T) {
	unit, config := deployFile(t, "nodedb.service"), deployFile(t, "nodedb.yaml")
	for key, dir := range map[string]string{"dir": "/var/lib/", "unix-socket": "/run/"} {
		m := regexp.MustCompile(`(?m)^` + key + `: (\S+)`).FindStringSubmatch(config)
		if m == nil || !strings.HasPrefix(m[1], dir+"nodedb/") {
			t.Errorf("%s is %q, not below %snodedb", key, m, dir)
		}
	}
	for _, want := range []string{"\nStateDirectory=nodedb\n", "\nRuntimeDirectory=nodedb\n", "\nType=notify\n", "serve --config /etc/nodedb/nodedb.yaml\n"} {
		if !strings.Contains(unit, want) {
			t.Errorf("the unit has no %q", want)
		}
	}
	duration := func(text, pattern, unit string) time.Duration {
		m := regexp.MustCompile(pattern).FindStringSubmatch(text)
		if m == nil {
			t.Fatalf("no %s", pattern)
		}
		d, err := time.ParseDuration(m[1] + unit)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	stop, drain := duration(unit, `TimeoutStopSec=(\d+)`, "s"), duration(config, `drain-timeout: (\S+)`, "")
	if stop < drain+10*time.Second {
		t.Errorf("the unit kills after %v, the drain takes up to %v", stop, drain)
	}
}

// Every NODEDB_ variable of the image is a flag of serve.
func TestDeploy_Image(t *testing.T) {
	_, help, _ := run(t, "serve", "--help")
	names := regexp.MustCompile(`NODEDB_[A-Z_]+`).FindAllString(deployFile(t, "Containerfile"), -1)
	if len(names) == 0 {
		t.Fatal("the image sets nothing")
	}
	for _, n := range names {
		if flag := "--" + strings.ToLower(strings.ReplaceAll(strings.TrimPrefix(n, "NODEDB_"), "_", "-")); !strings.Contains(help, "  "+flag+" ") {
			t.Errorf("%s: serve has no %s", n, flag)
		}
	}
}
