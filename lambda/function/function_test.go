package function_test

import (
	"bytes"
	"encoding/json"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	_ "gocloud.dev/blob/memblob" // mem://

	"github.com/nodedb-go/nodedb/lambda/function"
)

func TestOpen(t *testing.T) {
	env := map[string]string{}
	get := function.Env(func(k string) string { return env[k] })
	refused := func(want string) {
		t.Helper()
		if _, err := function.Open(t.Context(), get, io.Discard); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, want %q", env, err, want)
		}
	}
	refused("NODEDB_ARCHIVE")
	env["NODEDB_ARCHIVE"] = "nowhere"
	refused("no scheme")
	env["NODEDB_ARCHIVE"] = "mem://x/some/prefix"
	env["NODEDB_REVEAL_ENCRYPTED"] = "yes"
	refused("want true or false")
	env["NODEDB_REVEAL_ENCRYPTED"] = "true"
	env["NODEDB_AGE_IDENTITY"] = t.TempDir() + "/absent"
	refused("NODEDB_AGE_IDENTITY")
	delete(env, "NODEDB_AGE_IDENTITY")
	for url, name := range map[string]string{
		"mem://x/some/prefix": "x/some/prefix", "mem://x": "x", "mem://x?prefix=p/": "x/p", "file:///some/dir": "file:///some/dir",
	} {
		env["NODEDB_ARCHIVE"] = url
		a, err := function.Open(t.Context(), get, io.Discard)
		if err != nil {
			t.Fatal(err)
		}
		if a.Name != name || !a.RevealEncrypted {
			t.Errorf("%s is called %q, want %q; reveal %v", url, a.Name, name, a.RevealEncrypted)
		}
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestEnv(t *testing.T) {
	env := function.Env(func(k string) string {
		return map[string]string{"D": "90s", "N": "42", "L": " a, b,,c ", "bad": "-1h", "neg": "-1"}[k]
	})
	d, err := env.Duration("D", 0)
	if err != nil || d != 90*time.Second {
		t.Errorf("%v, %v", d, err)
	}
	n, err := env.Bytes("N", 0)
	if err != nil || n != 42 {
		t.Errorf("%v, %v", n, err)
	}
	if d, err := env.Duration("absent", time.Hour); err != nil || d != time.Hour {
		t.Errorf("%v, %v", d, err)
	}
	if n, err := env.Bytes("absent", 7); err != nil || n != 7 {
		t.Errorf("%v, %v", n, err)
	}
	if diff := cmp.Diff([]string{"a", "b", "c"}, env.List("L")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if _, err := env.Duration("bad", 0); err == nil || !strings.Contains(err.Error(), "bad is") {
		t.Errorf("a negative duration: %v", err)
	}
	if _, err := env.Bytes("neg", 0); err == nil || !strings.Contains(err.Error(), "neg is") {
		t.Errorf("a negative number of bytes: %v", err)
	}
}

// Every metric of a directive has its value in the line, and every dimension.
func TestEmit(t *testing.T) {
	var out bytes.Buffer
	at := time.UnixMilli(1234567)
	f, n := function.Dimension{Name: "Function", Value: "x"}, function.Dimension{Name: "Node", Value: "n1"}
	err := function.Emit(&out, at, []function.Dimension{{Name: "Run", Value: "7"}}, []function.Metric{{Name: "A", Unit: "Count", Value: 1}, {Name: "B", Unit: "Bytes", Value: 2}},
		function.Series{Dimensions: []function.Dimension{f}}, function.Series{Dimensions: []function.Dimension{f, n}, Metrics: []string{"B", "none"}})
	if err != nil {
		t.Fatal(err)
	}
	var got any
	if err := json.Unmarshal(out.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	metric := func(name, unit string) any { return map[string]any{"Name": name, "Unit": unit} }
	want := any(map[string]any{
		"A": 1., "B": 2., "Run": "7", "Function": "x", "Node": "n1",
		"_aws": map[string]any{"Timestamp": 1234567., "CloudWatchMetrics": []any{
			map[string]any{"Namespace": "nodedb", "Dimensions": []any{[]any{"Function"}}, "Metrics": []any{metric("A", "Count"), metric("B", "Bytes")}},
			map[string]any{"Namespace": "nodedb", "Dimensions": []any{[]any{"Function", "Node"}}, "Metrics": []any{metric("B", "Bytes")}},
		}},
	})
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if strings.Count(out.String(), "\n") != 1 {
		t.Errorf("not one line: %q", out.String())
	}
	if err := function.Emit(nil, at, nil, nil); err != nil {
		t.Error(err)
	}
}
