package lint_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nodedb-go/nodedb/internal/lint"
)

func parse(t *testing.T, name, src string) *lint.File {
	t.Helper()
	f, err := lint.Parse(name, []byte(src))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// TestRules shows of every rule a file that breaks it, and the same file in a
// place or a form where it is fine.
func TestRules(t *testing.T) {
	long := "package wal\n\nfunc f() {\n" + strings.Repeat("\t_ = 1\n", 70) + "}\n"
	tests := []struct {
		name string
		path string
		src  string
		want []string // rules that fire
	}{
		{"driver in library", "archive/store.go", "package archive\nimport _ \"gocloud.dev/blob/s3blob\"\n", []string{"drivers"}},
		{"driver in command", "cmd/nodedb/main.go", "package main\nimport _ \"gocloud.dev/blob/s3blob\"\n", nil},
		{"driver in test", "archive/store_test.go", "package archive\nimport _ \"gocloud.dev/blob/memblob\"\n", nil},
		{"long function", "wal/a.go", long, []string{"size"}},
		{"long test", "wal/a_test.go", long, nil},
		{"long file", "wal/a.go", "package wal\n" + strings.Repeat("\n", 600), []string{"size"}},
		{"sleep in test", "wal/a_test.go", "package wal\nimport \"time\"\nfunc f() { time.Sleep(1) }\n", []string{"sleep"}},
		{"sleep under another name", "wal/a_test.go", "package wal\nimport t \"time\"\nfunc f() { t.Sleep(1) }\n", []string{"sleep"}},
		{"sleep on the clock of synctest", "wal/a_test.go", "package wal\nimport (\n\"time\"\n_ \"testing/synctest\"\n)\nfunc f() { time.Sleep(1) }\n", nil},
		{"print in library", "wal/a.go", "package wal\nimport \"fmt\"\nfunc f() { fmt.Println() }\n", []string{"print"}},
		{"stderr in library", "wal/a.go", "package wal\nimport \"os\"\nvar w = os.Stderr\n", []string{"print"}},
		{"print in command", "cmd/nodedb/a.go", "package main\nimport \"fmt\"\nfunc f() { fmt.Println() }\n", nil},
		{"file call", "wal/a.go", "package wal\nimport \"os\"\nfunc f() { os.Remove(\"a\") }\n", []string{"files"}},
		{"file call in the file store", "archive/filestore.go", "package archive\nimport \"os\"\nfunc f() { os.Remove(\"a\") }\n", nil},
		{"os without files", "wal/a.go", "package wal\nimport \"os\"\nvar pid = os.Getpid()\n", nil},
		{"environment", "node/a.go", "package node\nimport \"os\"\nvar v = os.Getenv(\"A\")\n", []string{"env"}},
		{"flag", "node/a.go", "package node\nimport \"flag\"\nvar v = flag.Bool(\"a\", false, \"\")\n", []string{"env"}},
		{"init", "archive/a.go", "package archive\nfunc init() {}\n", []string{"init"}},
		{"method init", "archive/a.go", "package archive\ntype T int\nfunc (T) init() {}\n", nil},
		{"unfinished", "wal/a.go", "package wal\n// TO" + "DO later.\nvar a int\n", []string{"marks"}},
		{"empty name", "node/util/a.go", "package util\n", []string{"names"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := parse(t, tt.path, tt.src)
			var got []string
			for _, rule := range lint.Rules {
				for _, finding := range rule(f) {
					got = append(got, finding.Rule)
				}
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("rules that fire (-want +got):\n%s", diff)
			}
		})
	}
}

func TestImports(t *testing.T) {
	file := func(dir string, imports ...string) *lint.File {
		var b strings.Builder
		fmt.Fprintf(&b, "package %s\n", dir[strings.LastIndexByte(dir, '/')+1:])
		for _, p := range imports {
			fmt.Fprintf(&b, "import _ %q\n", lint.Module+"/"+p)
		}
		return parse(t, dir+"/a.go", b.String())
	}
	tests := []struct {
		name  string
		files []*lint.File
		want  []string
	}{
		{"downwards", []*lint.File{
			file("node", "tpc", "wal", "archive", "node/engine", "node/engine/kv"),
			file("pitr", "archive", "wal", "node/engine"),
			file("node/engine", "wal"), file("node/engine/kv", "node/engine", "wal"), file("archive", "wal"),
		}, nil},
		{"restore imports node", []*lint.File{file("pitr", "node")},
			[]string{"pitr must not depend on node (pitr -> node)"}},
		{"restore reaches node over a detour", []*lint.File{file("pitr", "internal/kit"), file("internal/kit", "node")},
			[]string{"pitr must not depend on node (pitr -> internal/kit -> node)"}},
		{"log imports runtime", []*lint.File{file("wal", "tpc")},
			[]string{"wal must not depend on tpc (wal -> tpc)"}},
		{"archive imports engine", []*lint.File{file("archive", "node/engine")},
			[]string{"archive must not depend on node/engine (archive -> node/engine)"}},
		{"part of a package tree", []*lint.File{file("tpc/ring", "wal")},
			[]string{"tpc/ring must not depend on wal (tpc/ring -> wal)"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var got []string
			for _, f := range lint.Imports(tt.files) {
				got = append(got, f.Text)
			}
			slices.Sort(got)
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("Imports (-want +got):\n%s", diff)
			}
		})
	}
}

func TestDoc(t *testing.T) {
	tests := []struct {
		name string
		src  string
		want int
	}{
		{"attached", "// Package wal is a log.\npackage wal\n", 0},
		{"blank line between", "// Package wal is a log.\n\npackage wal\n", 1},
		{"none", "package wal\n", 1},
		{"license only", "// Copyright by somebody.\npackage wal\n", 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := lint.Doc([]*lint.File{parse(t, "wal/doc.go", tt.src), parse(t, "wal/x_test.go", "package wal\n")})
			if len(got) != tt.want {
				t.Errorf("Doc = %v, want %d findings", got, tt.want)
			}
		})
	}
}
