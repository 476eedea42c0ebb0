package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
	ucli "github.com/urfave/cli/v2"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var errOutside = errors.New("store: target is outside the window")

// toy is a small command that shows back what it was given.
func toy() *App {
	show := func(c *Call) error {
		args := []string{}
		for i := range c.NArg() {
			args = append(args, c.Arg(i))
		}
		doc := map[string]any{
			"args": args, "dir": c.String("dir"), "archive": c.flags.StringSlice("archive"),
			"segment": c.Size("segment-size"), "cores": c.Int("cores"), "force": c.Bool("force"),
		}
		return c.Answer(doc, func(w io.Writer) error {
			_, err := fmt.Fprintf(w, "args=%q dir=%s archive=%q segment=%d cores=%d force=%v\n",
				args, c.String("dir"), c.flags.StringSlice("archive"), c.Size("segment-size"), c.Int("cores"), c.Bool("force"))
			return err
		})
	}
	flags := func() []ucli.Flag {
		return []ucli.Flag{
			&ucli.StringFlag{Name: "dir", Usage: "node `DIR`"},
			&ucli.StringSliceFlag{Name: "archive", Usage: "archive `URL`"},
			SizeFlag("segment-size", 64<<20, "bytes of a segment"),
			&ucli.IntFlag{Name: "cores"},
			&ucli.BoolFlag{Name: "force"},
		}
	}
	return &App{
		Name: "toy", Usage: "shows its flags",
		Classifiers: []Classifier{func(err error) (Code, string, bool) {
			return CodeOutside, "nearest is 7", errors.Is(err, errOutside)
		}},
		Verbs: []*Verb{
			{Name: "show", Usage: "show flags", Args: "[WORD...]", ArgsMax: -1, Flags: flags(), Run: show},
			{Name: "pair", Usage: "two words", Args: "KEY VALUE", ArgsMin: 2, ArgsMax: 2, Flags: flags(), Run: show},
			{Name: "wal", Usage: "log", Verbs: []*Verb{
				{Name: "ls", Usage: "list", Flags: flags(), Run: show},
				{Name: "hidden", Hidden: true, Run: show, Flags: flags()},
			}},
			{Name: "fail", Usage: "fail", Args: "[HOW]", ArgsMax: 1, Run: func(c *Call) error {
				switch c.Arg(0) {
				case "outside":
					return fmt.Errorf("plan restore: %w", errOutside)
				case "hint":
					return Hint(Usagef("no such thing"), "try another")
				case "pipe":
					return fmt.Errorf("write: %w", syscall.EPIPE)
				case "wait":
					<-c.Context().Done()
					return c.Context().Err()
				}
				return errors.New("it broke")
			}},
			CompletionVerb("toy"),
		},
	}
}

func runToy(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = toy().Run(t.Context(), args, strings.NewReader(""), &out, &errs)
	return code, out.String(), errs.String()
}

func TestFlagsStandAnywhere(t *testing.T) {
	want := `args=["a" "-b" "help"] dir=/d archive=["file:///x" "s3://b?a=1,2"] segment=4096 cores=-3 force=true` + "\n"
	for _, args := range [][]string{
		{"show", "--dir", "/d", "--archive", "file:///x", "--archive", "s3://b?a=1,2", "--segment-size", "4K", "--cores", "-3", "--force", "--", "a", "-b", "help"},
		{"show", "a", "--dir=/d", "--archive=file:///x", "--force", "--segment-size=4KiB", "--cores=-3", "--archive", "s3://b?a=1,2", "--", "-b", "help"},
		{"--dir", "/d", "--archive", "file:///x", "--force", "show", "--archive", "s3://b?a=1,2", "--segment-size", "4096", "a", "--cores=-3", "--", "-b", "help"},
	} {
		code, out, errs := runToy(t, args...)
		if code != 0 || out != want {
			t.Errorf("%q: exit %d\n%s%s", args, code, cmp.Diff(want, out), errs)
		}
	}
}

func TestNegativeNumberIsAnArgument(t *testing.T) {
	if code, out, errs := runToy(t, "pair", "counter", "-5"); code != 0 || !strings.Contains(out, `"-5"`) {
		t.Errorf("exit %d, %s%s", code, out, errs)
	}
}

func TestUsageErrors(t *testing.T) {
	for _, tc := range []struct {
		args []string
		want []string // parts of stderr
	}{
		{[]string{}, []string{"toy - shows its flags", "toy needs a command"}},
		{[]string{"wal"}, []string{"  ls ", "toy wal needs a command"}},
		{[]string{"shwo"}, []string{`toy has no command "shwo"`, "did you mean show?"}},
		{[]string{"frobnicate"}, []string{"commands are: show, pair, wal, fail, completion"}},
		{[]string{"wal", "sl"}, []string{`toy wal has no command "sl"`}},
		{[]string{"show", "--drr", "x"}, []string{"toy show has no flag --drr", "did you mean --dir?"}},
		{[]string{"--dir", "x", "fail"}, []string{"toy fail has no flag --dir"}},
		{[]string{"--nope", "show"}, []string{"toy has no flag --nope"}},
		{[]string{"show", "--dir"}, []string{"flag --dir needs a value"}},
		{[]string{"show", "--cores", "many"}, []string{`invalid value "many"`, "-cores"}},
		{[]string{"show", "--segment-size", "64furlongs"}, []string{"not a size like 64MiB"}},
		{[]string{"pair", "k"}, []string{"toy pair needs KEY VALUE, but got 1 argument"}},
		{[]string{"pair", "k", "a", "b"}, []string{"takes KEY VALUE, but got 3 arguments"}},
		{[]string{"wal", "ls", "x"}, []string{`toy wal ls takes no arguments, but got "x"`}},
		{[]string{"show", "--log-level", "loud"}, []string{"--log-level"}},
		{[]string{"show", "--progress", "dots"}, []string{"--progress"}},
		{[]string{"completion", "csh"}, []string{"want bash, zsh or fish"}},
	} {
		code, out, errs := runToy(t, tc.args...)
		if code != int(CodeUsage) || out != "" {
			t.Errorf("%q: exit %d, stdout %q, want 2 and none", tc.args, code, out)
		}
		for _, w := range tc.want {
			if !strings.Contains(errs, w) {
				t.Errorf("%q: stderr has no %q:\n%s", tc.args, w, errs)
			}
		}
	}
}

func TestFailuresKeepTheirCode(t *testing.T) {
	for _, tc := range []struct {
		how  string
		code Code
		want failureBody
	}{
		{"", CodeError, failureBody{1, "error", "it broke", ""}},
		{"outside", CodeOutside, failureBody{4, "outside-window", "plan restore: store: target is outside the window", "nearest is 7"}},
		{"hint", CodeUsage, failureBody{2, "usage", "no such thing", "try another"}},
	} {
		code, out, errs := runToy(t, "fail", "--json", tc.how)
		var got failure
		if err := json.Unmarshal([]byte(out), &got); err != nil {
			t.Fatalf("%s: %v in %q", tc.how, err, out)
		}
		if code != int(tc.code) || got.Error != tc.want {
			t.Errorf("%s: exit %d %+v, want %d %+v", tc.how, code, got.Error, tc.code, tc.want)
		}
		if !strings.Contains(errs, "toy fail: "+tc.want.Message) {
			t.Errorf("%s: stderr is %q", tc.how, errs)
		}
	}
	if code, out, errs := runToy(t, "fail", "pipe", "--json"); code != int(CodePipe) || out+errs != "" {
		t.Errorf("a closed pipe: exit %d, %q, want %d and silence", code, out+errs, CodePipe)
	}
}

func TestUsageErrorInJSON(t *testing.T) {
	_, out, _ := runToy(t, "shwo", "--json")
	var got failure
	if err := json.Unmarshal([]byte(out), &got); err != nil || got.Error.Kind != "usage" {
		t.Errorf("got %q (%v), want a usage error as JSON", out, err)
	}
}

func TestInterrupt(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(&Interrupt{Signal: syscall.SIGINT})
	var out, errs bytes.Buffer
	code := toy().Run(ctx, []string{"fail", "wait"}, strings.NewReader(""), &out, &errs)
	if code != 130 || !strings.Contains(errs.String(), "stopped by interrupt") {
		t.Errorf("exit %d, stderr %q, want 130 and the reason", code, errs.String())
	}
}

func TestPrecedence(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "c.yaml")
	text := "dir: /file\nsegment_size: 1MiB\narchive: [file:///a, file:///b]\ncores: 7\nforce: true\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("NODEDB_DIR", "/env")
	t.Setenv("NODEDB_CORES", "5")
	t.Setenv("NODEDB_CONFIG", file)
	_, got, errs := runToy(t, "show", "--cores", "3")
	want := `args=[] dir=/env archive=["file:///a" "file:///b"] segment=1048576 cores=3 force=true` + "\n"
	if got != want {
		t.Errorf("flag, then environment, then file:\n%s%s", cmp.Diff(want, got), errs)
	}
	t.Setenv("NODEDB_ARCHIVE", "file:///e")
	if _, got, _ = runToy(t, "show"); !strings.Contains(got, `archive=["file:///e"]`) {
		t.Errorf("environment must replace the file's list: %s", got)
	}
	t.Setenv("NODEDB_CORES", "several")
	if code, _, errs := runToy(t, "show"); code != 2 || !strings.Contains(errs, "NODEDB_CORES") {
		t.Errorf("exit %d, %q: a wrong variable must be named", code, errs)
	}
}

func TestConfigErrors(t *testing.T) {
	for text, want := range map[string]string{
		"dri: /x\n":            `c.yaml:1: no command has a flag "dri"`,
		"dir: /x\ncores: many": "c.yaml:2: cores is \"many\": want a whole number",
		"- dir":                "c.yaml:1: want flag names and values",
		"dir: {a: b}":          "want a value or a list",
		"dir: [[a]]":           "plain values only",
		"dir:":                 "has no value",
		"dir: /x\ndir: /y":     "dir is set twice",
		"dir: /x\n--dir: /y":   "dir is set twice",
		"\tdir: /x":            "c.yaml:",
		"config: /other.yaml":  "cannot be set in a configuration file",
		"x: " + strings.Repeat("y", configBytesMax): "larger than",
	} {
		file := filepath.Join(t.TempDir(), "c.yaml")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if code, _, errs := runToy(t, "show", "--config", file); code != 2 || !strings.Contains(errs, want) {
			t.Errorf("%.40q: exit %d, stderr %.300q has no %q", text, code, errs, want)
		}
	}
	if code, _, errs := runToy(t, "show", "--config", "/nowhere/c.yaml"); code != 2 || !strings.Contains(errs, "/nowhere/c.yaml") {
		t.Errorf("exit %d, %q: the missing file must be named", code, errs)
	}
}

func TestHelpAndVersion(t *testing.T) {
	for _, args := range [][]string{{"show", "--help"}, {"help", "show"}, {"-h", "show"}} {
		code, out, _ := runToy(t, args...)
		for _, want := range []string{"toy show [WORD...] [flags]", "--dir DIR", "(64.0 MiB)", "--json", "NODEDB_DIR"} {
			if code != 0 || !strings.Contains(out, want) {
				t.Errorf("%q: exit %d, no %q in:\n%s", args, code, want, out)
			}
		}
	}
	if code, out, _ := runToy(t, "help"); code != 0 || !strings.Contains(out, "two words") {
		t.Errorf("exit %d\n%s", code, out)
	}
	if code, out, _ := runToy(t, "wal", "--help"); code != 0 || strings.Contains(out, "hidden") {
		t.Errorf("exit %d, a hidden verb shows:\n%s", code, out)
	}
	if code, out, _ := runToy(t, "--version"); code != 0 || !strings.HasPrefix(out, "toy ") {
		t.Errorf("exit %d, %q", code, out)
	}
	_, out, _ := runToy(t, "--version", "--json")
	var v Version
	if err := json.Unmarshal([]byte(out), &v); err != nil || v.Go == "" {
		t.Errorf("%q: %v", out, err)
	}
	version = "v1.2.3"
	t.Cleanup(func() { version = "" })
	if _, out, _ := runToy(t, "--version"); !strings.HasPrefix(out, "toy v1.2.3 ") {
		t.Errorf("with a version from the linker: %q", out)
	}
}

func TestCompletion(t *testing.T) {
	for _, tc := range []struct {
		words []string
		want  []string
	}{
		{[]string{""}, []string{"show", "pair", "wal", "fail", "completion"}},
		{[]string{"sh"}, []string{"show"}},
		{[]string{"wal", ""}, []string{"ls"}},
		{[]string{"show", "--d"}, []string{"--dir"}},
		{[]string{"show", "--progress", ""}, []string{"auto", "bar", "json", "none"}},
		{[]string{"show", "--dir", ""}, nil},
		{[]string{"completion", "z"}, []string{"zsh"}},
	} {
		_, out, _ := runToy(t, append([]string{"__complete"}, tc.words...)...)
		var got []string
		for line := range strings.Lines(out) {
			name, _, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
			got = append(got, name)
		}
		if d := cmp.Diff(tc.want, got); d != "" {
			t.Errorf("%q (-want +got):\n%s", tc.words, d)
		}
	}
	for _, shell := range []string{"bash", "zsh", "fish"} {
		code, out, _ := runToy(t, "completion", shell)
		if code != 0 || !strings.Contains(out, "toy __complete") || strings.Contains(out, "NAME") || strings.Contains(out, "FUNC") {
			t.Errorf("%s: exit %d\n%s", shell, code, out)
		}
	}
}
