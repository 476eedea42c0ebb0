package lint

import (
	"maps"
	"slices"
	"sort"
	"strconv"
	"strings"
)

// edge forbids packages below from to depend on packages below deny, directly
// or through others. A trailing "$" means that package alone.
type edge struct {
	from string
	deny []string
}

// edges is the picture "wal, tpc <- node/engine, archive <- pitr, node <- cmd"
// read as what must not be. The first match of a package decides.
var edges = []edge{
	{from: "wal", deny: []string{"tpc", "archive", "node", "pitr", "lambda", "cmd"}},
	{from: "tpc", deny: []string{"wal", "archive", "node", "pitr", "lambda", "cmd"}},
	{from: "node/engine", deny: []string{"node$", "archive", "pitr", "lambda", "cmd"}},
	{from: "archive", deny: []string{"node", "tpc", "pitr", "lambda", "cmd"}},
	{from: "pitr", deny: []string{"node$", "tpc", "lambda", "cmd"}},
	{from: "node", deny: []string{"pitr", "lambda", "cmd"}},
	{from: "lambda", deny: []string{"node$", "tpc", "cmd"}},
	{from: "internal", deny: []string{"cmd"}},
}

// drivers open connections to a cloud as a side effect of being linked.
var drivers = []string{
	"gocloud.dev/blob/azureblob",
	"gocloud.dev/blob/fileblob",
	"gocloud.dev/blob/gcsblob",
	"gocloud.dev/blob/memblob",
	"gocloud.dev/blob/s3blob",
}

// Imports checks the direction of imports between the packages of files. Test
// files are free: they may need a whole node to try a part.
func Imports(files []*File) []Finding {
	direct := map[string]map[string]*File{} // importing dir -> imported dir -> a file that does it
	for _, f := range files {
		if f.Test() || f.In("bench") {
			continue
		}
		for _, spec := range f.AST.Imports {
			name, err := strconv.Unquote(spec.Path.Value)
			if err != nil || !strings.HasPrefix(name, Module+"/") {
				continue
			}
			if direct[f.Dir()] == nil {
				direct[f.Dir()] = map[string]*File{}
			}
			direct[f.Dir()][strings.TrimPrefix(name, Module+"/")] = f
		}
	}
	var found []Finding
	for dir := range direct {
		for _, e := range edges {
			if below(dir, []string{e.from}) {
				found = append(found, e.check(dir, direct)...)
				break
			}
		}
	}
	sort.Slice(found, func(i, j int) bool { return found[i].Pos < found[j].Pos })
	return found
}

// check follows the imports of dir and reports what e denies, with the way to it.
func (e edge) check(dir string, direct map[string]map[string]*File) []Finding {
	var found []Finding
	seen := map[string]bool{dir: true}
	var walk func(at string, way []string, first *File)
	walk = func(at string, way []string, first *File) {
		for _, next := range slices.Sorted(maps.Keys(direct[at])) {
			f := direct[at][next]
			if seen[next] {
				continue
			}
			seen[next] = true
			if first != nil {
				f = first
			}
			if e.denies(next) {
				found = append(found, f.finding("imports", f.AST.Package,
					"%s must not depend on %s (%s)", dir, next, strings.Join(append(way, next), " -> ")))
				continue
			}
			walk(next, append(way[:len(way):len(way)], next), f)
		}
	}
	walk(dir, []string{dir}, nil)
	return found
}

func (e edge) denies(dir string) bool {
	for _, d := range e.deny {
		exact, only := strings.CutSuffix(d, "$")
		if dir == exact || (!only && strings.HasPrefix(dir, d+"/")) {
			return true
		}
	}
	return false
}

// Drivers reports cloud drivers that are imported outside commands.
func Drivers(f *File) []Finding {
	if f.Test() || f.In("cmd", "lambda", "bench/peers", "bench/scale") {
		return nil
	}
	var found []Finding
	for _, spec := range f.AST.Imports {
		for _, d := range drivers {
			if spec.Path.Value == strconv.Quote(d) {
				found = append(found, f.finding("drivers", spec.Pos(), "%s belongs into a command", d))
			}
		}
	}
	return found
}
