package main

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	ucli "github.com/urfave/cli/v2"

	"github.com/nodedb-go/nodedb/archive"
	"github.com/nodedb-go/nodedb/internal/cli"
	"github.com/nodedb-go/nodedb/wal"
)

func archiveKeysVerb() *cli.Verb {
	return &cli.Verb{
		Name: "keys", Usage: "show which recipients guard which LSNs, and which of them --age-identity opens",
		Flags: lookFlags(), Run: runArchiveKeys,
	}
}

type keyUseView struct {
	Store      string         `json:"store"`
	ID         string         `json:"id"` // empty: not encrypted
	Recipients []string       `json:"recipients"`
	Ranges     []keyRangeView `json:"ranges"`
	Segments   int            `json:"segments"`
	Packs      int            `json:"packs"`
	Contents   int            `json:"contents"`
	Bytes      int64          `json:"bytes"`
	Opens      bool           `json:"opens"`
}

type keyRangeView struct {
	Timeline wal.Timeline `json:"timeline"`
	From     wal.LSN      `json:"from"`
	To       wal.LSN      `json:"to"`
}

func runArchiveKeys(c *cli.Call) error {
	archives, stores, err := c.OpenArchives()
	if err != nil {
		return err
	}
	defer stores.Close()
	doc := struct {
		Keys []keyUseView `json:"keys"`
	}{[]keyUseView{}}
	for _, a := range archives {
		uses, err := a.KeyUses(c.Context())
		if err != nil {
			return err
		}
		for _, u := range uses {
			doc.Keys = append(doc.Keys, viewKeyUse(a, u))
		}
	}
	return c.Answer(doc, func(w io.Writer) error {
		rows := [][]string{{"ID", "OPENS", "SEGMENTS", "PACKS", "CONTENTS", "SIZE", "LSNS", "RECIPIENTS"}}
		for _, u := range doc.Keys {
			id, opens := u.ID, "no"
			if id == "" {
				id = "plain"
			}
			if u.Opens {
				opens = "yes"
			}
			var spans []string
			for _, r := range u.Ranges {
				spans = append(spans, fmt.Sprintf("%d:%d-%d", uint32(r.Timeline), uint64(r.From), uint64(r.To)))
			}
			rows = append(rows, []string{id, opens, strconv.Itoa(u.Segments), strconv.Itoa(u.Packs), strconv.Itoa(u.Contents),
				cli.FormatSize(u.Bytes), strings.Join(spans, " "), strings.Join(u.Recipients, " ")})
		}
		return cli.Table(w, rows)
	})
}

func viewKeyUse(a *archive.Archive, u archive.KeyUse) keyUseView {
	v := keyUseView{Store: a.Store().URL(), Recipients: u.Recipients, Ranges: []keyRangeView{},
		Segments: u.Segments, Packs: u.Packs, Contents: u.Contents, Bytes: u.Bytes, Opens: true}
	if u.ID != (archive.RecipientsID{}) {
		v.ID, v.Opens = u.ID.String(), a.Identities().MayOpen(u.Recipients)
	}
	for _, r := range u.Ranges {
		v.Ranges = append(v.Ranges, keyRangeView(r))
	}
	return v
}

func archiveRewrapVerb() *cli.Verb {
	return &cli.Verb{
		Name: "rewrap", Usage: "encrypt what is archived again, for other recipients, with new objects",
		Description: `Each object that --age-identity opens and that is not encrypted for exactly the
recipients given is encrypted for them under a new name, and proven. With --retire
the old object is deleted after that. It may be stopped and run again.`,
		Flags: append(append(lookFlags(), cli.RecipientFlags()...),
			&ucli.BoolFlag{Name: "retire", Usage: "delete the old objects once the new ones are proven"},
			&ucli.BoolFlag{Name: "plain", Usage: "include what is not encrypted yet"},
			&ucli.IntFlag{Name: "parallel", Value: 2, Usage: "objects at a time"}),
		Run: runArchiveRewrap,
	}
}

func runArchiveRewrap(c *cli.Call) error {
	to, _, err := c.Recipients()
	if err != nil {
		return err
	}
	if to == nil {
		return cli.Usagef("no --age-recipient KEY to encrypt for")
	}
	archives, stores, err := c.OpenArchives()
	if err != nil {
		return err
	}
	defer stores.Close()
	began := time.Now()
	var all []archive.RewrapInfo
	var failed error
	for _, a := range archives {
		if err := c.CheckNode(a); err != nil {
			return err
		}
		info, err := a.Rewrap(c.Context(), to, &archive.RewrapOptions{
			Retire: c.Bool("retire"), Plain: c.Bool("plain"), Parallel: c.Int("parallel"), Logger: c.Log,
		})
		if _, ok := errors.AsType[*archive.RewrapError](err); err != nil && !ok {
			return cli.Hint(err, "what is done stays: run the same command again to go on")
		}
		failed = errors.Join(failed, err)
		all = append(all, info)
	}
	doc := struct {
		ID     string               `json:"id"`
		Stores []archive.RewrapInfo `json:"stores"`
	}{to.ID().String(), all}
	err = c.Answer(doc, func(w io.Writer) error { return writeRewraps(w, archives, all, doc.ID, time.Since(began)) })
	return errors.Join(err, failed)
}

func writeRewraps(w io.Writer, archives []*archive.Archive, all []archive.RewrapInfo, id string, took time.Duration) error {
	for i, info := range all {
		_, err := fmt.Fprintf(w, "%s: %d objects of others; %d new for %s (%s), %d there already, %d deleted, %d kept by the store, %d failed, in %s\n",
			archives[i].Store().URL(), info.Objects, info.New, id, cli.FormatSize(info.NewBytes), info.There,
			info.Retired, info.Retained, info.Failed, cli.FormatDuration(took))
		if err != nil {
			return err
		}
	}
	return nil
}
