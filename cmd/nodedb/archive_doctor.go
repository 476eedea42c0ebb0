package main

import (
	"fmt"
	"io"
	"net/url"
	"strings"

	"github.com/nodedb-go/nodedb/archive"
	"github.com/nodedb-go/nodedb/internal/cli"
)

func archiveDoctorVerb() *cli.Verb {
	return &cli.Verb{
		Name: "doctor", Usage: "try on a store what the archive relies on, and what must not be possible",
		Description: `Run it with the node's own credentials. Probe objects are made under
nodedb/v1/_doctor/ and deleted where the credentials can; what stays is named.`,
		Flags: lookFlags(), Run: runArchiveDoctor,
	}
}

func runArchiveDoctor(c *cli.Call) error {
	urls := c.ArchiveURLs()
	if len(urls) == 0 {
		return cli.Hint(cli.Usagef("no archive given"), "name it with --archive URL or NODEDB_ARCHIVE")
	}
	reports, failed := []*archive.DoctorReport{}, 0
	for _, u := range urls {
		r, err := examine(c, u)
		if err != nil {
			return err
		}
		reports = append(reports, r)
		if r.Verdict == archive.FindingFail {
			failed++
		}
	}
	err := c.Answer(struct {
		Reports []*archive.DoctorReport `json:"reports"`
	}{reports}, func(w io.Writer) error { return writeDoctor(w, reports) })
	if err == nil && failed > 0 {
		err = fmt.Errorf("the archive cannot rely on %s", cli.Plural(failed, "store"))
	}
	return err
}

// examine opens the store twice: once so that a few MiB travel in parts.
func examine(c *cli.Call, raw string) (*archive.DoctorReport, error) {
	s, _, err := archive.OpenStore(c.Context(), raw)
	if err != nil {
		return nil, err
	}
	defer func() { _ = s.Close() }()
	large := s
	if strings.HasPrefix(raw, "s3://") {
		if large, _, err = archive.OpenStore(c.Context(), inParts(raw)); err != nil {
			return nil, err
		}
		defer func() { _ = large.Close() }()
	}
	return archive.Examine(c.Context(), s, large)
}

func inParts(raw string) string {
	raw, _, _ = strings.Cut(raw, ";")
	u, err := url.Parse(raw)
	if err != nil {
		return raw
	}
	q := u.Query()
	q.Set("multipart_bytes", "5242880")
	u.RawQuery = q.Encode()
	return u.String()
}

func writeDoctor(w io.Writer, all []*archive.DoctorReport) error {
	for _, r := range all {
		rows := [][]string{{"store", r.Store, ""}}
		for _, k := range r.Checks {
			rows = append(rows, []string{string(k.Finding), k.Name, k.Detail})
			if k.Advice != "" {
				rows = append(rows, []string{"", "", "→ " + k.Advice})
			}
		}
		for _, key := range r.Left {
			rows = append(rows, []string{"left", key, ""})
		}
		if err := cli.Table(w, append(rows, []string{"verdict", string(r.Verdict), ""})); err != nil {
			return err
		}
	}
	return nil
}
