package lint

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"sort"
	"strings"
)

// Module is the import path of the repository's root.
const Module = "github.com/nodedb-go/nodedb"

// File is one parsed source file. Path is relative to the root, with slashes.
type File struct {
	Path  string
	Lines int
	Fset  *token.FileSet
	AST   *ast.File
}

// Dir is the directory of f relative to the root, "." for the root itself.
func (f *File) Dir() string { return path.Dir(f.Path) }

// Test reports whether f is compiled for tests only.
func (f *File) Test() bool { return strings.HasSuffix(f.Path, "_test.go") }

// Main reports whether f belongs to a command.
func (f *File) Main() bool { return f.AST.Name.Name == "main" }

// In reports whether f lies in one of the directories or below it.
func (f *File) In(dirs ...string) bool { return below(f.Dir(), dirs) }

// Finding is one broken rule at one place.
type Finding struct {
	Rule string
	Pos  string
	Text string
}

// String gives the finding the way a compiler prints an error.
func (f Finding) String() string { return fmt.Sprintf("%s: %s: %s", f.Pos, f.Rule, f.Text) }

// finding places text at pos.
func (f *File) finding(rule string, pos token.Pos, format string, args ...any) Finding {
	return Finding{
		Rule: rule,
		Pos:  fmt.Sprintf("%s:%d", f.Path, f.Fset.Position(pos).Line),
		Text: fmt.Sprintf(format, args...),
	}
}

// Parse reads one file from memory.
func Parse(name string, src []byte) (*File, error) {
	fset := token.NewFileSet()
	tree, err := parser.ParseFile(fset, name, src, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return nil, fmt.Errorf("parse %s: %w", name, err)
	}
	return &File{Path: name, Lines: strings.Count(string(src), "\n"), Fset: fset, AST: tree}, nil
}

// Load parses every Go file below root, sorted by path. Directories that the
// go command ignores are left out.
func Load(root string) ([]*File, error) {
	var files []*File
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		base := d.Name()
		if d.IsDir() {
			if name != root && (base == "testdata" || base == "vendor" || base[0] == '.' || base[0] == '_') {
				return fs.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(base, ".go") {
			return nil
		}
		src, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		f, err := Parse(filepath.ToSlash(rel), src)
		if err != nil {
			return err
		}
		files = append(files, f)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("load tree: %w", err)
	}
	sort.Slice(files, func(i, j int) bool { return files[i].Path < files[j].Path })
	return files, nil
}

// below reports whether dir is one of dirs or lies in one.
func below(dir string, dirs []string) bool {
	for _, d := range dirs {
		if dir == d || strings.HasPrefix(dir, d+"/") {
			return true
		}
	}
	return false
}
