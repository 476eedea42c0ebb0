package lint

import (
	"go/ast"
	"go/token"
	"regexp"
	"slices"
	"sort"
	"strconv"
	"strings"
)

// Limits of the style guide.
const (
	FuncLinesMax = 70
	FileLinesMax = 600
)

// Rules are all rules that look at one file at a time.
var Rules = []func(*File) []Finding{
	Drivers, Size, Sleep, Print, Files, Env, Init, Marks, Names,
}

// Size reports functions and files that are too long to be read in one go.
func Size(f *File) []Finding {
	if f.Test() {
		return nil
	}
	var found []Finding
	if f.Lines > FileLinesMax {
		found = append(found, f.finding("size", f.AST.Package, "file has %d lines, at most %d", f.Lines, FileLinesMax))
	}
	for _, d := range f.AST.Decls {
		fn, ok := d.(*ast.FuncDecl)
		if !ok {
			continue
		}
		lines := f.Fset.Position(fn.End()).Line - f.Fset.Position(fn.Pos()).Line + 1
		if lines > FuncLinesMax {
			found = append(found, f.finding("size", fn.Pos(), "func %s has %d lines, at most %d", fn.Name.Name, lines, FuncLinesMax))
		}
	}
	return found
}

// Sleep reports tests that wait for time to pass instead of for an event. In a
// file about testing/synctest a sleep is how its clock is moved, and costs none.
func Sleep(f *File) []Finding {
	if !f.Test() || f.imports("testing/synctest") {
		return nil
	}
	return f.calls("sleep", "wait for an event, or use testing/synctest", func(pkg, name string) bool {
		return pkg == "time" && name == "Sleep"
	})
}

// Print reports libraries that talk to the terminal.
func Print(f *File) []Finding {
	if f.Test() || f.Main() || f.In(commands...) {
		return nil
	}
	return f.calls("print", "a library logs with slog or writes to an io.Writer", func(pkg, name string) bool {
		return pkg == "fmt" && strings.HasPrefix(name, "Print") ||
			pkg == "os" && (name == "Stdout" || name == "Stderr" || name == "Stdin")
	})
}

// osFiles are the functions of package os that touch a file system.
var osFiles = regexp.MustCompile(`^(Chmod|Chtimes|CopyFS|Create|CreateTemp|DirFS|Link|Lstat|Mkdir|MkdirAll|MkdirTemp|` +
	`Open|OpenFile|OpenRoot|ReadDir|ReadFile|Readlink|Remove|RemoveAll|Rename|Stat|Symlink|Truncate|WriteFile)$`)

// Files reports file calls that go around the file system of the options, where
// no test could make them fail.
func Files(f *File) []Finding {
	if f.Test() || f.Main() || f.In(commands...) {
		return nil
	}
	for prefix := range fileCallers {
		if f.In(prefix) || strings.HasPrefix(f.Path, prefix) {
			return nil
		}
	}
	return f.calls("files", "use the vfs.FS of the options", func(pkg, name string) bool {
		return pkg == "os" && osFiles.MatchString(name)
	})
}

// Env reports configuration that does not come through Options.
func Env(f *File) []Finding {
	if f.Test() || f.In(commands...) {
		return nil
	}
	return f.calls("env", "flags and environment are read in cmd/ and lambda/ only", func(pkg, name string) bool {
		return pkg == "os" && (name == "Getenv" || name == "LookupEnv" || name == "Environ" || name == "Args") ||
			pkg == "flag"
	})
}

// Init reports init functions of libraries: importing a package must change nothing.
func Init(f *File) []Finding {
	if f.Test() || f.Main() {
		return nil
	}
	var found []Finding
	for _, d := range f.AST.Decls {
		if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil && fn.Name.Name == "init" {
			found = append(found, f.finding("init", fn.Pos(), "importing a library must change nothing"))
		}
	}
	return found
}

// marks are the words by which unfinished work is noted. Spelled apart, so that
// this file passes its own rule.
var marks = regexp.MustCompile(`\b(TO` + `DO|FIX` + `ME|XX` + `X|HA` + `CK)\b`)

// Marks reports notes of unfinished work.
func Marks(f *File) []Finding {
	var found []Finding
	for _, group := range f.AST.Comments {
		for _, c := range group.List {
			if m := marks.FindString(c.Text); m != "" {
				found = append(found, f.finding("marks", c.Pos(), "finish it, or write down why it is as it is: %s", m))
			}
		}
	}
	return found
}

// Names reports packages that are named after nothing.
func Names(f *File) []Finding {
	switch f.AST.Name.Name {
	case "util", "utils", "common", "helper", "helpers", "types", "manager", "misc":
		return []Finding{f.finding("names", f.AST.Name.Pos(), "package %s says nothing about what is in it", f.AST.Name.Name)}
	}
	return nil
}

// Doc reports packages without a comment that is attached to a package clause.
// A blank line between the two makes godoc drop the comment.
func Doc(files []*File) []Finding {
	documented, first := map[string]bool{}, map[string]*File{}
	for _, f := range files {
		if f.Test() {
			continue
		}
		if first[f.Dir()] == nil {
			first[f.Dir()] = f
		}
		want := "Package " + f.AST.Name.Name + " "
		if f.AST.Doc != nil && (f.Main() || strings.HasPrefix(f.AST.Doc.Text(), want)) {
			documented[f.Dir()] = true
		}
	}
	var found []Finding
	for dir, f := range first {
		if !documented[dir] {
			found = append(found, f.finding("doc", f.AST.Package, "no comment is attached to package %s", f.AST.Name.Name))
		}
	}
	sort.Slice(found, func(i, j int) bool { return found[i].Pos < found[j].Pos })
	return found
}

func (f *File) imports(name string) bool {
	return slices.ContainsFunc(f.AST.Imports, func(spec *ast.ImportSpec) bool {
		return spec.Path.Value == strconv.Quote(name)
	})
}

// calls reports uses of names of imported packages that bad selects.
func (f *File) calls(rule, text string, bad func(pkg, name string) bool) []Finding {
	local := map[string]string{} // name in this file -> import path
	for _, spec := range f.AST.Imports {
		p := strings.Trim(spec.Path.Value, `"`)
		name := p[strings.LastIndexByte(p, '/')+1:]
		if spec.Name != nil {
			name = spec.Name.Name
		}
		local[name] = p
	}
	var found []Finding
	report := func(pos token.Pos, pkg, name string) {
		found = append(found, f.finding(rule, pos, "%s.%s: %s", pkg, name, text))
	}
	ast.Inspect(f.AST, func(n ast.Node) bool {
		sel, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		if id, ok := sel.X.(*ast.Ident); ok && local[id.Name] != "" && bad(local[id.Name], sel.Sel.Name) {
			report(sel.Pos(), id.Name, sel.Sel.Name)
		}
		return true
	})
	return found
}
