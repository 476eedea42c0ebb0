package engine

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/sstable"

	"github.com/nodedb-go/nodedb/wal"
)

// Images of states are kept in the store, below the engine's name:
//
//	0x00 's' name 0x00 'c'                    generation u64 LE | lsn u64 LE | chunks u64 LE
//	0x00 's' name 0x00 'd' gen u64 BE i u64 BE  chunk i of that generation
//
// An image is one table, which becomes part of the store in one step.

// stateSlot is the state of one Stateful engine. Owned by the core.
type stateSlot struct {
	engine  Stateful
	state   State
	applied wal.LSN // of the last record that the state took
	image   image   // newest on disk; owned by the spiller
}

type image struct {
	gen    uint64
	lsn    wal.LSN
	chunks uint64
}

type frozenState struct {
	slot  *stateSlot
	lsn   wal.LSN
	image Image
}

func stateKey(name string, kind byte) []byte {
	k := append([]byte{0x00, 's'}, name...)
	return append(k, 0x00, kind)
}

func chunkKey(name string, gen, i uint64) []byte {
	k := binary.BigEndian.AppendUint64(stateKey(name, 'd'), gen)
	return binary.BigEndian.AppendUint64(k, i)
}

func decodeImage(b []byte) (image, error) {
	if len(b) != 24 {
		return image{}, fmt.Errorf("image header has %d bytes: %w", len(b), pebble.ErrCorruption)
	}
	return image{
		gen:    binary.LittleEndian.Uint64(b),
		lsn:    wal.LSN(binary.LittleEndian.Uint64(b[8:])),
		chunks: binary.LittleEndian.Uint64(b[16:]),
	}, nil
}

// readImage reads the header of an image; none is the zero image.
func readImage(r pebble.Reader, name string) (image, error) {
	value, closer, err := r.Get(stateKey(name, 'c'))
	if errors.Is(err, pebble.ErrNotFound) {
		return image{}, nil
	}
	if err != nil {
		return image{}, err
	}
	img, err := decodeImage(value)
	return img, errors.Join(err, closer.Close())
}

// openStates loads the images of all Stateful engines.
func (v *VShard) openStates(db *pebble.DB) error {
	for _, e := range v.shared.opts.Engines {
		se, ok := e.(Stateful)
		if !ok {
			continue
		}
		slot := &stateSlot{engine: se, state: se.NewState(v)}
		v.states = append(v.states, slot)
		if err := slot.load(db); err != nil {
			return v.Damage(fmt.Errorf("load state of %s: %w", e.Name(), err))
		}
	}
	return nil
}

func (s *stateSlot) load(db *pebble.DB) error {
	img, err := readImage(db, s.engine.Name())
	if err != nil || img.gen == 0 {
		return err
	}
	s.image, s.applied = img, img.lsn
	i := uint64(0)
	return s.state.Load(func() ([]byte, bool, error) {
		if i == img.chunks {
			return nil, false, nil
		}
		value, closer, err := db.Get(chunkKey(s.engine.Name(), img.gen, i))
		if errors.Is(err, pebble.ErrNotFound) {
			return nil, false, fmt.Errorf("chunk %d of %d is missing: %w", i, img.chunks, pebble.ErrCorruption)
		}
		if err != nil {
			return nil, false, err
		}
		i++
		chunk := bytes.Clone(value)
		return chunk, true, closer.Close()
	})
}

// applyStates gives a record to the states that do not hold it yet.
func (b *Batch) applyStates(r *wal.Record) error {
	if len(b.v.states) == 0 || r.VShard != b.v.id {
		return nil
	}
	for _, s := range b.v.states {
		if r.LSN <= s.applied {
			continue
		}
		if s.engine.Owns(r.Type) {
			b.broken = true
			if err := s.state.Apply(r); err != nil {
				return b.recordError(r, err)
			}
			b.broken = false
		}
		s.applied = r.LSN
	}
	return nil
}

// freezeStates takes images of all states, as of the applied LSN.
func (v *VShard) freezeStates() ([]frozenState, error) {
	var frozen []frozenState
	for _, s := range v.states {
		img, err := s.state.Freeze()
		if err != nil {
			return nil, fmt.Errorf("freeze state of %s: %w", s.engine.Name(), err)
		}
		// Records above s.applied, if any, were not for this engine.
		s.applied = max(s.applied, v.Applied())
		frozen = append(frozen, frozenState{slot: s, lsn: s.applied, image: img})
	}
	return frozen, nil
}

// saveStates writes the images, each as one table, so that an image is there
// whole or not at all. Called by the spiller, which runs one job at a time.
func (v *VShard) saveStates(frozen []frozenState, name string) error {
	for i, f := range frozen {
		next := image{gen: f.slot.image.gen + 1, lsn: f.lsn}
		err := v.ingest(fmt.Sprintf("%s.%d", name, i), func(w *sstable.Writer) error { return f.write(w, &next) })
		if err != nil {
			return fmt.Errorf("save state of %s: %w", f.slot.engine.Name(), err)
		}
		f.slot.image = next
	}
	return nil
}

// write writes the header after the chunks, but in the order of the keys it
// comes first: the chunks are collected before.
func (f frozenState) write(w *sstable.Writer, next *image) error {
	name := f.slot.engine.Name()
	var chunks [][]byte
	err := f.image.Save(context.Background(), func(chunk []byte) error {
		chunks = append(chunks, bytes.Clone(chunk))
		return nil
	})
	if err != nil {
		return err
	}
	next.chunks = uint64(len(chunks))
	header := binary.LittleEndian.AppendUint64(nil, next.gen)
	header = binary.LittleEndian.AppendUint64(header, uint64(next.lsn))
	header = binary.LittleEndian.AppendUint64(header, next.chunks)
	if err := w.Set(stateKey(name, 'c'), header); err != nil {
		return err
	}
	for i, chunk := range chunks {
		if err := w.Set(chunkKey(name, next.gen, uint64(i)), chunk); err != nil {
			return err
		}
	}
	return w.DeleteRange(chunkKey(name, 0, 0), chunkKey(name, next.gen, 0))
}
