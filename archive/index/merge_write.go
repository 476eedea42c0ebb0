package index

import (
	"cmp"
	"container/heap"
	"context"
	"io"

	"github.com/parquet-go/parquet-go"
)

// merge writes the rows of all runs in order, and says how many there are.
func (s *spool) merge(ctx context.Context, dst io.Writer, options []parquet.WriterOption) (int, error) {
	const rowsPerCheck = 4096
	var q runHeap
	for i := range s.runs {
		r := s.reader(i)
		ok, err := r.next()
		if err != nil {
			return 0, err
		}
		if ok {
			q = append(q, r)
		}
	}
	heap.Init(&q)
	w := &mergedWriter{w: parquet.NewGenericWriter[mergedSchemaRow](dst, options...)}
	for len(q) > 0 {
		if w.rows%rowsPerCheck == 0 && ctx.Err() != nil {
			return 0, context.Cause(ctx)
		}
		if err := w.add(&q[0].row); err != nil {
			return 0, err
		}
		ok, err := q[0].next()
		switch {
		case err != nil:
			return 0, err
		case ok:
			heap.Fix(&q, 0)
		default:
			heap.Pop(&q)
		}
	}
	return w.rows, w.close()
}

// runHeap has the run with the least row in front. Of rows that two segments have,
// which happens when a fenced writer went on, that of the lower segment is first.
type runHeap []*runReader

func (h runHeap) Len() int      { return len(h) }
func (h runHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h runHeap) Less(i, j int) bool {
	return cmp.Or(compareRows(&h[i].row, &h[j].row), cmp.Compare(h[i].order, h[j].order)) < 0
}
func (h *runHeap) Push(x any) { *h = append(*h, x.(*runReader)) }
func (h *runHeap) Pop() any {
	last := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return last
}

// mergedWriter writes rows as they come: pages end between two batches, groups
// after a fixed number of rows, so that equal rows give equal bytes. One group is in
// memory at a time.
type mergedWriter struct {
	w        *parquet.GenericWriter[mergedSchemaRow]
	group    *parquet.ConcurrentRowGroupWriter
	inGroup  int
	rows     int
	batch    []Row
	keyBytes int
	values   []parquet.Value
}

func (m *mergedWriter) add(r *Row) error {
	m.batch = append(m.batch, *r)
	m.keyBytes += len(r.Key)
	m.rows++
	m.inGroup++
	if len(m.batch) == batchRows || m.keyBytes >= pageBytes || m.inGroup == rowsPerGroup {
		if err := m.flush(); err != nil {
			return err
		}
	}
	if m.inGroup == rowsPerGroup {
		return m.end()
	}
	return nil
}

func (m *mergedWriter) flush() error {
	if m.group == nil {
		m.group = m.w.BeginRowGroup()
	}
	for i, w := range m.group.ColumnWriters() {
		m.values = m.values[:0]
		for n := range m.batch {
			m.values = append(m.values, mergedValues[i](&m.batch[n]))
		}
		if _, err := w.WriteRowValues(m.values); err != nil {
			return err
		}
	}
	m.batch, m.keyBytes = m.batch[:0], 0
	return nil
}

func (m *mergedWriter) end() error {
	err := m.group.Flush()
	if err == nil {
		_, err = m.group.Commit()
	}
	m.group, m.inGroup = nil, 0
	return err
}

func (m *mergedWriter) close() error {
	if len(m.batch) > 0 {
		if err := m.flush(); err != nil {
			return err
		}
	}
	if m.group != nil {
		if err := m.end(); err != nil {
			return err
		}
	}
	return m.w.Close()
}
