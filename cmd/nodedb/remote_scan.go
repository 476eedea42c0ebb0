package main

import (
	"context"
	"fmt"
	"strconv"

	"github.com/nodedb-go/nodedb/internal/resp/client"
	"github.com/nodedb-go/nodedb/node"
	"github.com/nodedb-go/nodedb/wal"
)

// remoteScan walks the keys of a running node page by page. Each page is of the
// state when it was asked for, those of an export are of one LSN.
type remoteScan struct {
	ctx   context.Context
	r     *remote
	words []string // of the request, without what changes
	left  int      // keys up to the limit; below 0: no limit

	page   []client.Reply
	now    []client.Reply // key, value, expiry, LSN
	cursor string         // behind the page
	export bool
	lsn    wal.LSN // of the export; 0: it has not begun
	err    error
}

// scan begins a walk; values come only when they are wanted.
func (r *remote) scan(ctx context.Context, o node.ScanOptions, values bool) *remoteScan {
	s := &remoteScan{ctx: ctx, r: r, left: o.Limit, cursor: o.Cursor, export: o.Consistent, words: []string{"NODEDB.SCAN"}}
	if s.export {
		s.words = []string{"NODEDB.EXPORT", "BEGIN"}
	}
	if o.Limit == 0 {
		s.left = -1
	}
	for _, w := range []struct {
		name, value string
		on          bool
	}{{"PREFIX", string(o.Prefix), len(o.Prefix) > 0}, {"FROM", string(o.From), o.From != nil}, {"TO", string(o.To), o.To != nil},
		{"REVERSE", "1", o.Reverse}, {"VALUES", "1", values && !s.export}} {
		if w.on {
			s.words = append(s.words, w.name, w.value)
		}
	}
	return s
}

// Next goes to the next key.
func (s *remoteScan) Next() bool {
	if s.left == 0 || s.err != nil {
		return false
	}
	if len(s.page) == 0 && !s.fetch() {
		return false
	}
	s.now, s.page = s.page[0].Items, s.page[1:]
	if len(s.now) != 4 {
		s.err = s.r.door.failed(fmt.Errorf("%w: an entry has %d parts", client.ErrProtocol, len(s.now)))
		return false
	}
	if s.left > 0 {
		s.left--
	}
	return true
}

func (s *remoteScan) fetch() bool {
	if s.export {
		return s.nextOfExport()
	}
	words := s.words
	if s.cursor != "" {
		words = append(words[:len(words):len(words)], "CURSOR", s.cursor)
	}
	if s.left > 0 {
		words = append(words[:len(words):len(words)], "COUNT", strconv.Itoa(s.left))
	}
	a, err := s.r.ask(s.ctx, words...)
	if err == nil && len(a.Items) == 0 {
		err = s.r.door.failed(fmt.Errorf("%w: a page has no cursor", client.ErrProtocol))
	}
	if s.err = err; err != nil {
		return false
	}
	s.cursor, s.page = string(a.Items[0].Text), a.Items[1:]
	return len(s.page) > 0
}

// nextOfExport takes its next page; the last one is empty.
func (s *remoteScan) nextOfExport() bool {
	if s.lsn == 0 {
		lsn, err := s.r.number(s.ctx, s.words...)
		if s.err = err; err != nil {
			return false
		}
		s.lsn = wal.LSN(lsn)
	}
	a, err := s.r.ask(s.ctx, "NODEDB.EXPORT", "NEXT")
	s.err, s.page = err, a.Items
	return err == nil && len(s.page) > 0
}

// LSN is that of an export's state.
func (s *remoteScan) LSN() wal.LSN { return s.lsn }

// Key and the others are of the current entry, as those of [node.Scanner].
func (s *remoteScan) Key() []byte       { return s.now[0].Text }
func (s *remoteScan) Value() []byte     { return s.now[1].Text }
func (s *remoteScan) ExpireAt() int64   { return s.now[2].Int }
func (s *remoteScan) EntryLSN() wal.LSN { return wal.LSN(s.now[3].Int) }
func (s *remoteScan) Err() error        { return s.err }
func (s *remoteScan) Close() error      { return nil }

// Cursor is asked for at the limit only, which is the end of a page.
func (s *remoteScan) Cursor() string { return s.cursor }
