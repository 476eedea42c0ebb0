package lint_test

import (
	"fmt"
	"go/ast"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nodedb-go/nodedb/internal/lint"
)

const root = "../.."

func readDoc(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(name)))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

var mapRow = regexp.MustCompile("(?m)^\\| `([a-z0-9/-]+)` \\|")

// TestPackageMap compares README's map of the code with the packages there are.
func TestPackageMap(t *testing.T) {
	cmd := exec.Command("go", "list", "./...")
	cmd.Dir = root
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var want, got []string
	for line := range strings.Lines(string(out)) {
		want = append(want, strings.TrimPrefix(strings.TrimSpace(line), lint.Module+"/"))
	}
	for _, m := range mapRow.FindAllStringSubmatch(section(t, readDoc(t, "README.md"), "## Map of the code"), -1) {
		got = append(got, m[1])
	}
	slices.Sort(got)
	slices.Sort(want)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("README.md, map of the code (-go list +README):\n%s", diff)
	}
}

// section is the text between a heading and the next one of its level.
func section(t *testing.T, doc, heading string) string {
	t.Helper()
	_, rest, ok := strings.Cut(doc, "\n"+heading+"\n")
	if !ok {
		t.Fatalf("there is no heading %q", heading)
	}
	level, _, _ := strings.Cut(heading, " ")
	text, _, _ := strings.Cut(rest, "\n"+level+" ")
	return text
}

var goBlock = regexp.MustCompile("(?s)```go\n(.*?)```")

// TestQuickStart holds that README's Go code is compiled and run as an example.
func TestQuickStart(t *testing.T) {
	blocks := goBlock.FindAllStringSubmatch(readDoc(t, "README.md"), -1)
	if len(blocks) == 0 {
		t.Fatal("README.md has no Go code")
	}
	source := readDoc(t, "node/quickstart_test.go")
	for _, b := range blocks {
		if !strings.Contains(source, b[1]) {
			t.Errorf("this code of README.md is not in node/quickstart_test.go:\n%s", b[1])
		}
	}
}

// markdown lists the documents of the repository.
func markdown(t *testing.T) []string {
	t.Helper()
	var names []string
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		switch base := d.Name(); {
		case err != nil:
			return err
		case d.IsDir() && name != root && (base[0] == '.' || base == "testdata"):
			return fs.SkipDir
		case strings.HasSuffix(base, ".md"):
			rel, err := filepath.Rel(root, name)
			names = append(names, filepath.ToSlash(rel))
			return err
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

var (
	link     = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	headline = regexp.MustCompile(`(?m)^#+ (.+)$`)
	notSlug  = regexp.MustCompile(`[^a-z0-9 _-]`)
)

// TestLinks follows every relative link of every document.
func TestLinks(t *testing.T) {
	docs := markdown(t)
	if len(docs) < 10 {
		t.Fatalf("only %d documents: is the root right?", len(docs))
	}
	for _, doc := range docs {
		for _, m := range link.FindAllStringSubmatch(readDoc(t, doc), -1) {
			if strings.Contains(m[1], "://") {
				continue
			}
			if err := follow(t, doc, m[1]); err != nil {
				t.Errorf("%s: link %s: %v", doc, m[1], err)
			}
		}
	}
}

func follow(t *testing.T, from, to string) error {
	t.Helper()
	name, anchor, _ := strings.Cut(to, "#")
	target := from
	if name != "" {
		target = path.Join(path.Dir(from), name)
	}
	if _, err := os.Stat(filepath.Join(root, filepath.FromSlash(target))); err != nil {
		return err
	}
	if anchor == "" {
		return nil
	}
	for _, h := range headline.FindAllStringSubmatch(readDoc(t, target), -1) {
		slug := notSlug.ReplaceAllString(strings.ToLower(h[1]), "")
		if strings.ReplaceAll(slug, " ", "-") == anchor {
			return nil
		}
	}
	return fmt.Errorf("%s has no such heading", target)
}

const lawsMax = 14

var (
	lawRow  = regexp.MustCompile(`(?m)^\| (\d+) \|.*$`)
	lawTest = regexp.MustCompile("`([a-z0-9/-]+)\\.((?:Test|Fuzz)[A-Za-z0-9_]+)`")
	lawText = regexp.MustCompile(`(?i)laws? \d+(?:(?:,| and|, law|, and)? \d+)*`)
	number  = regexp.MustCompile(`\d+`)
)

// TestLaws holds that every law names tests, and that each of them exists and
// names the law.
func TestLaws(t *testing.T) {
	named := testsByLaw(t)
	seen := map[int]bool{}
	for _, row := range lawRow.FindAllStringSubmatch(section(t, readDoc(t, "ARCHITECTURE.md"), "## Laws and their tests"), -1) {
		law, _ := strconv.Atoi(row[1])
		seen[law] = true
		tests := lawTest.FindAllStringSubmatch(row[0], -1)
		if len(tests) == 0 {
			t.Errorf("law %d names no test", law)
		}
		for _, m := range tests {
			laws, ok := named[m[1]+"."+m[2]]
			if !ok {
				t.Errorf("law %d: there is no test %s in %s", law, m[2], m[1])
			} else if !slices.Contains(laws, law) {
				t.Errorf("law %d: %s.%s does not say that it holds it, only %v", law, m[1], m[2], laws)
			}
		}
	}
	for law := 1; law <= lawsMax; law++ {
		if !seen[law] {
			t.Errorf("law %d is not in the table", law)
		}
	}
}

// The tests that docs/testing.md names are there.
func TestNamedTests(t *testing.T) {
	named := testsByLaw(t)
	all := lawTest.FindAllStringSubmatch(readDoc(t, "docs/testing.md"), -1)
	if len(all) < 20 {
		t.Errorf("docs/testing.md names %d tests", len(all))
	}
	for _, m := range all {
		if _, ok := named[m[1]+"."+m[2]]; !ok {
			t.Errorf("docs/testing.md: there is no test %s in %s", m[2], m[1])
		}
	}
}

// testsByLaw gives for each test, as directory.Name, the laws that its comments
// name.
func testsByLaw(t *testing.T) map[string][]int {
	t.Helper()
	files, err := lint.Load(root)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string][]int{}
	for _, f := range files {
		if !f.Test() {
			continue
		}
		for _, d := range f.AST.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil {
				out[f.Dir()+"."+fn.Name.Name] = lawsIn(f, fn)
			}
		}
	}
	return out
}

// lawsIn reads the comments on and in a function.
func lawsIn(f *lint.File, fn *ast.FuncDecl) []int {
	from := fn.Pos()
	if fn.Doc != nil {
		from = fn.Doc.Pos()
	}
	var text strings.Builder
	for _, c := range f.AST.Comments {
		if c.Pos() >= from && c.End() <= fn.End() {
			text.WriteString(c.Text())
		}
	}
	ast.Inspect(fn, func(n ast.Node) bool {
		if l, ok := n.(*ast.BasicLit); ok && l.Kind == token.STRING {
			text.WriteString(l.Value + "\n")
		}
		return true
	})
	var laws []int
	joined := strings.Join(strings.Fields(text.String()), " ")
	for _, m := range lawText.FindAllString(joined, -1) {
		for _, n := range number.FindAllString(m, -1) {
			law, _ := strconv.Atoi(n)
			laws = append(laws, law)
		}
	}
	return laws
}
