package index

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/format"

	"github.com/nodedb-go/nodedb/archive"
)

// Lookup gives the changes of one key that an index names, by LSN and part. It
// makes one or two requests for an index that does not have the key, and about a
// dozen, side by side, for one that has; e is from a catalog, or has its key and
// the size of its object.
//
// The rows are those of the whole segment: records behind the end of what is
// history (SegmentEntry.To) are the caller's to leave out.
//
// Errors are the store's, or match archive.ErrCorrupt or archive.ErrVersion.
func Lookup(ctx context.Context, a *archive.Archive, e archive.IndexEntry, tenant uint32, key []byte) (out []Row, err error) {
	s := newSearch(ctx, a, a.Key(e.IndexKey), e.Size, &indexForm)
	defer s.recovered(&err)
	if err := s.open(); err != nil {
		return nil, err
	}
	return s.find(tenant, key)
}

// form is what an index looks like: that of a segment, or a merged one.
type form struct {
	version    string // its name in the metadata
	versionMax int
	schema     *parquet.Schema
	set        []func(r *Row, v parquet.Value) // by column
	tailBytes  int64                           // of the first request
	// filter asks the Bloom filter of a group before its page index. Of a merged index
	// most keys are in it, and for one that is not, the page of keys is no more
	// requests than the filter.
	filter bool
}

var indexForm = form{version: metaVersion, versionMax: Version, schema: schema, set: setters(columns), tailBytes: tailBytes, filter: true}

func setters(columns []column) (out []func(*Row, parquet.Value)) {
	for _, c := range columns {
		out = append(out, c.set)
	}
	return out
}

// search is one look into an index.
type search struct {
	a    *archive.Archive
	key  string
	form *form
	r    *ranges
	file *parquet.File
}

func newSearch(ctx context.Context, a *archive.Archive, key string, size int64, f *form) *search {
	return &search{a: a, key: key, form: f, r: &ranges{ctx: ctx, s: a.Store(), key: key, size: size}}
}

// recovered makes an error of a panic: the library trusts a footer, which has no
// checksum, and panics on one that was changed. All of it runs on the caller's
// goroutine.
func (s *search) recovered(err *error) {
	if p := recover(); p != nil {
		*err = s.placed(fmt.Errorf("it is read with a panic: %v", p))
	}
}

// find gives the rows of one key.
func (s *search) find(tenant uint32, key []byte) (out []Row, err error) {
	for g := range s.file.RowGroups() {
		if out, err = s.group(g, tenant, key, out); err != nil {
			return nil, s.placed(err)
		}
	}
	return out, nil
}

func (s *search) open() error {
	if err := s.r.prefetch([]span{{s.r.size - s.form.tailBytes, s.r.size}}); err != nil {
		return s.placed(err)
	}
	return s.parse(s.r)
}

// parse reads the footer from src, which is all of the object.
func (s *search) parse(src io.ReaderAt) error {
	var err error
	s.file, err = parquet.OpenFile(src, s.r.size, parquet.SkipMagicBytes(true), parquet.SkipPageIndex(true),
		parquet.SkipBloomFilters(true), parquet.ReadBufferSize(aheadBytes))
	if err != nil {
		return s.placed(err)
	}
	return s.check()
}

// check refuses what is no index, one of a later version, and one whose parts are
// not within it, before memory is taken for them.
func (s *search) check() error {
	text, _ := s.file.Lookup(s.form.version)
	v, err := strconv.Atoi(text)
	switch {
	case err != nil || v < 1:
		return s.placed(fmt.Errorf("it has no %s", s.form.version))
	case v > s.form.versionMax:
		return fmt.Errorf("read %s in %s: %w: version %d, this program knows %d", s.key, s.a.Store().URL(), archive.ErrVersion, v, s.form.versionMax)
	}
	for i, want := range s.form.schema.Columns() {
		if got := s.file.Schema().Columns(); i >= len(got) || len(got[i]) != 1 || got[i][0] != want[0] {
			return s.placed(fmt.Errorf("it has no column %s in its place", want[0]))
		}
	}
	for g := range s.file.Metadata().RowGroups {
		group := &s.file.Metadata().RowGroups[g]
		if len(group.Columns) != len(s.form.set) {
			return s.placed(fmt.Errorf("row group %d has %d columns", g, len(group.Columns)))
		}
		for i := range group.Columns {
			if c := &group.Columns[i]; !s.within(c.ColumnIndexOffset, int64(c.ColumnIndexLength)) ||
				!s.within(c.OffsetIndexOffset, int64(c.OffsetIndexLength)) ||
				!s.within(c.MetaData.DataPageOffset, c.MetaData.TotalCompressedSize) ||
				!s.within(c.MetaData.DictionaryPageOffset, 0) || !s.within(c.MetaData.BloomFilterOffset, int64(c.MetaData.BloomFilterLength)) {
				return s.placed(fmt.Errorf("column %d of row group %d is not within it", i, g))
			}
		}
	}
	return nil
}

func (s *search) within(from, n int64) bool {
	return from >= 0 && n >= 0 && from <= s.r.size-n
}

// placed tells damage from trouble of the store.
func (s *search) placed(err error) error {
	var se *archive.StoreError
	if errors.As(err, &se) || s.r.ctx.Err() != nil {
		return fmt.Errorf("read index: %w", err)
	}
	return &archive.ObjectError{Store: s.a.Store().URL(), Key: s.key, Offset: -1, Reason: "it cannot be read as an index", Err: err}
}

// group adds the rows of one row group. Its Bloom filter comes before its page
// index, and that before its pages.
func (s *search) group(g int, tenant uint32, key []byte, out []Row) ([]Row, error) {
	meta := &s.file.Metadata().RowGroups[g]
	chunks := s.file.RowGroups()[g].ColumnChunks()
	if !mayHold(chunks[columnTenant], parquet.Int64Value(int64(tenant))) || !mayHold(chunks[columnKey], parquet.ByteArrayValue(key)) {
		return out, nil
	}
	if s.form.filter {
		if filter := chunks[columnKey].BloomFilter(); filter != nil {
			if ok, err := filter.Check(parquet.ByteArrayValue(key)); err != nil || !ok {
				return out, err
			}
		}
	}
	if err := s.r.prefetch([]span{pageIndexSpan(meta)}); err != nil {
		return out, err
	}
	from := columnTenant
	if constant(chunks[columnTenant]) {
		from = columnKey // it is the one: no page of it is read
	}
	candidates, err := pagesOf(chunks, from, tenant, key)
	if err != nil || len(candidates) == 0 {
		return out, err
	}
	if err := s.prefetchRows(meta, chunks, from, columnKey, candidates); err != nil {
		return out, err
	}
	found, err := s.narrow(chunks, from, candidates, tenant, key)
	if err != nil || found.from == found.to {
		return out, err
	}
	if err := s.prefetchRows(meta, chunks, from, len(chunks)-1, []span{found}); err != nil {
		return out, err
	}
	rows := make([]Row, found.to-found.from)
	for i := range rows {
		rows[i].Tenant = tenant
	}
	for i := from; i < len(chunks); i++ {
		n, set := 0, s.form.set[i]
		err := eachValue(chunks[i], found, func(v parquet.Value) {
			set(&rows[n], v)
			n++
		})
		if err != nil {
			return out, err
		}
	}
	return append(out, rows...), nil
}

// mayHold compares with the statistics of the whole group, which are in the
// footer.
func mayHold(c parquet.ColumnChunk, v parquet.Value) bool {
	least, most, ok := c.(*parquet.FileColumnChunk).Bounds()
	compare := c.Type().Compare
	return !ok || compare(v, least) >= 0 && compare(v, most) <= 0
}

// constant tells whether all values of a column that has no nulls are one, by the
// same statistics.
func constant(c parquet.ColumnChunk) bool {
	least, most, ok := c.(*parquet.FileColumnChunk).Bounds()
	return ok && c.Type().Compare(least, most) == 0
}

// pageIndexSpan is where the page index of a group is.
func pageIndexSpan(meta *format.RowGroup) span {
	out := span{from: -1}
	grow := func(at int64, n int32) {
		if at == 0 {
			return
		}
		if out.from < 0 || at < out.from {
			out.from = at
		}
		out.to = max(out.to, at+int64(n))
	}
	for i := range meta.Columns {
		c := &meta.Columns[i]
		grow(c.ColumnIndexOffset, c.ColumnIndexLength)
		grow(c.OffsetIndexOffset, c.OffsetIndexLength)
	}
	return out
}

// pagesOf gives the rows of the pages whose bounds allow the key, and whose
// tenants too, unless columns are asked from the key on.
func pagesOf(chunks []parquet.ColumnChunk, from int, tenant uint32, key []byte) (_ []span, err error) {
	tenants := []span{{0, chunks[columnTenant].NumValues()}}
	if from == columnTenant {
		if tenants, err = pages(chunks[columnTenant], parquet.Int64Value(int64(tenant))); err != nil {
			return nil, err
		}
	}
	keys, err := pages(chunks[columnKey], parquet.ByteArrayValue(key))
	if err != nil {
		return nil, err
	}
	var out []span
	for _, k := range keys {
		for _, t := range tenants {
			if both := (span{max(k.from, t.from), min(k.to, t.to)}); both.from < both.to {
				out = append(out, both)
			}
		}
	}
	return out, nil
}

func pages(c parquet.ColumnChunk, v parquet.Value) ([]span, error) {
	bounds, err := c.ColumnIndex()
	if err != nil {
		return nil, err
	}
	places, err := c.OffsetIndex()
	if err != nil {
		return nil, err
	}
	var out []span
	compare := c.Type().Compare
	for i := range places.NumPages() {
		if compare(v, bounds.MinValue(i)) < 0 || compare(v, bounds.MaxValue(i)) > 0 {
			continue
		}
		out = append(out, pageRows(c, places, i))
	}
	return out, nil
}

// pageRows are the rows of one page.
func pageRows(c parquet.ColumnChunk, places parquet.OffsetIndex, n int) span {
	s := span{places.FirstRowIndex(n), c.NumValues()}
	if n+1 < places.NumPages() {
		s.to = places.FirstRowIndex(n + 1)
	}
	return s
}

// prefetchRows fetches the pages of the columns from from to to (inclusive) that
// hold the rows, and their dictionaries.
func (s *search) prefetchRows(meta *format.RowGroup, chunks []parquet.ColumnChunk, from, to int, rows []span) error {
	var want []span
	for i := from; i <= to; i++ {
		c := chunks[i]
		places, err := c.OffsetIndex()
		if err != nil {
			return err
		}
		if m := &meta.Columns[i].MetaData; m.DictionaryPageOffset > 0 {
			want = append(want, span{m.DictionaryPageOffset, m.DataPageOffset + aheadBytes})
		}
		for n := range places.NumPages() {
			held := pageRows(c, places, n)
			if slices.ContainsFunc(rows, func(r span) bool { return held.from < r.to && r.from < held.to }) {
				at := places.Offset(n)
				want = append(want, span{at, at + places.CompressedPageSize(n) + aheadBytes})
			}
		}
	}
	return s.r.prefetch(want)
}

// narrow reads the keys of the candidates, and gives the rows of the one.
func (s *search) narrow(chunks []parquet.ColumnChunk, from int, candidates []span, tenant uint32, key []byte) (span, error) {
	var found span
	for _, c := range candidates {
		var tenants []bool
		if from == columnTenant {
			err := eachValue(chunks[columnTenant], c, func(v parquet.Value) { tenants = append(tenants, v.Int64() == int64(tenant)) })
			if err != nil {
				return span{}, err
			}
		}
		n := 0
		err := eachValue(chunks[columnKey], c, func(v parquet.Value) {
			if (from > columnTenant || n < len(tenants) && tenants[n]) && bytes.Equal(v.ByteArray(), key) {
				row := c.from + int64(n)
				if found.from == found.to {
					found.from = row
				}
				found.to = row + 1
			}
			n++
		})
		if err != nil {
			return span{}, err
		}
	}
	return found, nil
}

// eachValue reads one column of these rows.
func eachValue(c parquet.ColumnChunk, rows span, each func(parquet.Value)) error {
	pages := c.Pages()
	err := eachOf(pages, rows, each)
	return errors.Join(err, pages.Close())
}

func eachOf(pages parquet.Pages, rows span, each func(parquet.Value)) error {
	if err := pages.SeekToRow(rows.from); err != nil {
		return err
	}
	buf := make([]parquet.Value, 256)
	for left := rows.to - rows.from; left > 0; {
		page, err := pages.ReadPage()
		if err != nil {
			return unexpected(err)
		}
		for values := page.Values(); left > 0; {
			n, err := values.ReadValues(buf[:min(left, int64(len(buf)))])
			for _, v := range buf[:n] {
				each(v)
			}
			left -= int64(n)
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				parquet.Release(page)
				return err
			}
		}
		parquet.Release(page)
	}
	return nil
}

// unexpected is an end that comes too early.
func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
