package main

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"

	"github.com/nodedb-go/nodedb/internal/loadfmt"
)

// The demo's writes are a script: which writer does what, in which order,
// follows from the list of files and the seed alone. The writing process and
// the process that checks it both derive it, so an acknowledgement need only
// say "writer 3 has done operation 17, it has LSN 4567", and what a state must
// look like at any LSN is computed, not asked for.

// demoFile is one file of the source; its path below the root is the key.
type demoFile struct {
	Path string
	Size int64
}

// demoScript is shared by both processes.
type demoScript struct {
	root    string
	files   []demoFile
	writers int
	seed    uint64
}

// demoOp sets a file's key to a version of its content, or removes it.
type demoOp struct {
	file    int
	version int // from 1; 0: remove
}

// deleteShare is how many of the operations after the load are removals.
const deleteShare = 0.15

// newDemoScript lists the files of root.
func newDemoScript(root string, writers int, seed uint64) (*demoScript, error) {
	tree, err := loadfmt.ScanTree(root)
	if err != nil {
		return nil, fmt.Errorf("list the source: %w", err)
	}
	s := &demoScript{root: root, writers: writers, seed: seed}
	for path, size := range tree.Regular() {
		s.files = append(s.files, demoFile{path, size})
	}
	if len(s.files) < 2*writers {
		return nil, fmt.Errorf("%s holds %d files, the demo needs %d or more for %d writers", root, len(s.files), 2*writers, writers)
	}
	return s, nil
}

func (s *demoScript) bytes() (n int64) {
	for _, f := range s.files {
		n += f.Size
	}
	return n
}

// loadOps is how many operations of a writer are its share of the load: each
// of its files once.
func (s *demoScript) loadOps(writer int) int {
	return (len(s.files) - writer + s.writers - 1) / s.writers
}

// content is what a version of a file holds. Version 1 is the file itself.
func (s *demoScript) content(op demoOp) ([]byte, error) {
	f := s.files[op.file]
	data, err := os.ReadFile(filepath.Join(s.root, filepath.FromSlash(f.Path)))
	if err != nil {
		return nil, err
	}
	return append(data, s.suffix(op)...), nil
}

// suffix is what sets a later version apart from the file.
func (s *demoScript) suffix(op demoOp) []byte {
	if op.version == 1 {
		return nil
	}
	return fmt.Appendf(nil, "\n// nodedb demo: version %d of %s\n", op.version, s.files[op.file].Path)
}

// cut takes the suffix off a stored value and says whether it was there.
func (s *demoScript) cut(value []byte, op demoOp) ([]byte, bool) {
	return bytes.CutSuffix(value, s.suffix(op))
}

// opStream yields the operations of one writer, for ever.
type opStream struct {
	script  *demoScript
	writer  int
	rng     *rand.Rand
	done    int
	version []int // newest version that was written, by index of own file
	present []bool
}

func (s *demoScript) stream(writer int) *opStream {
	n := s.loadOps(writer)
	return &opStream{script: s, writer: writer, rng: rand.New(rand.NewPCG(s.seed, uint64(writer))),
		version: make([]int, n), present: make([]bool, n)}
}

// next is operation number o.done, from 0. Writers share no file, so the
// order of a key's operations is that of its writer.
func (o *opStream) next() demoOp {
	own := o.done
	if own >= len(o.version) {
		own = o.rng.IntN(len(o.version))
	}
	o.done++
	op := demoOp{file: own*o.script.writers + o.writer}
	if o.present[own] && o.rng.Float64() < deleteShare && o.done > len(o.version) {
		o.present[own] = false
		return op
	}
	o.version[own]++
	o.present[own] = true
	op.version = o.version[own]
	return op
}
