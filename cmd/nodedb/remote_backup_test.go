package main

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nodedb-go/nodedb/archive"
)

// A running node writes its base when it is asked; one without an archive says so.
func TestRemote_Backup(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "n")
	s := startServe(t, nil, "--addr", "127.0.0.1:0", "--dir", dir, "--node-id", "n", "--archive", "file://"+filepath.Join(t.TempDir(), "a"))
	if code, _, errs := run(t, "put", "k", "v", "--addr", s.addr); code != 0 {
		t.Fatal(errs)
	}
	code, out, errs := run(t, "backup", "--json", "--addr", s.addr)
	var doc archive.BaseSummary
	if err := json.Unmarshal([]byte(out), &doc); code != 0 || err != nil || doc.Manifest == "" || doc.LSN == 0 || doc.NewObjects == 0 {
		t.Errorf("backup: exit %d, %v, %+v %s", code, err, doc, errs)
	}
	if code, _, errs := run(t, "backup", "--dir", dir); code != 1 || !strings.Contains(errs, "use --addr "+s.addr) {
		t.Errorf("backup of a held directory: exit %d, %s", code, errs)
	}
	s.stop()
	s = startServe(t, nil, "--addr", "127.0.0.1:0", "--dir", filepath.Join(t.TempDir(), "m"))
	if code, out, errs := run(t, "backup", "--addr", s.addr); code == 0 || !strings.Contains(errs, "archive") {
		t.Errorf("without an archive: exit %d, %s%s", code, out, errs)
	}
	s.stop()
}
