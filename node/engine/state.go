package engine

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"github.com/nodedb-go/nodedb/wal"
)

// Images of states are kept in the store, below the engine's name:
//
//	0x00 's' name 0x00 'c'                    generation u64 LE | lsn u64 LE | chunks u64 LE
//	0x00 's' name 0x00 'd' gen u64 BE i u64 BE  chunk i of that generation
//
// The 'c' key is written after all chunks. Memtables reach the disk in the order
// in which they were written, so a durable 'c' key has durable chunks.

// stateSlot is the state of one Stateful engine. Owned by the core.
type stateSlot struct {
	engine  Stateful
	state   State
	applied wal.LSN // of the last record that the state took
	image   image   // newest image; owned by the flush that runs, or the core
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

// imageAt reads the header of an image; none is the zero image.
func imageAt(it *pebble.Iterator, name string) (image, error) {
	key := stateKey(name, 'c')
	if !it.SeekGE(key) || string(it.Key()) != string(key) {
		return image{}, it.Error()
	}
	value, err := it.ValueAndErr()
	if err != nil {
		return image{}, err
	}
	return decodeImage(value)
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
	it, err := db.NewIter(&pebble.IterOptions{LowerBound: []byte{0x00, 's'}, UpperBound: []byte{0x00, 't'}})
	if err != nil {
		return err
	}
	err = s.loadFrom(it)
	return errors.Join(err, it.Close())
}

func (s *stateSlot) loadFrom(it *pebble.Iterator) error {
	img, err := imageAt(it, s.engine.Name())
	if err != nil || img.gen == 0 {
		return err
	}
	s.image, s.applied = img, img.lsn
	i := uint64(0)
	return s.state.Load(func() ([]byte, bool, error) {
		if i == img.chunks {
			return nil, false, nil
		}
		key := chunkKey(s.engine.Name(), img.gen, i)
		if !it.SeekGE(key) || string(it.Key()) != string(key) {
			return nil, false, errors.Join(it.Error(), fmt.Errorf("chunk %d of %d is missing: %w", i, img.chunks, pebble.ErrCorruption))
		}
		i++
		value, err := it.ValueAndErr()
		return value, err == nil, err
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

// saveStates writes the images. Only one flush with images may run at a time; the
// core sees to that by waiting for the result of the last.
func saveStates(s *store, frozen []frozenState) error {
	for _, f := range frozen {
		if err := f.save(s.db); err != nil {
			return fmt.Errorf("save state of %s: %w", f.slot.engine.Name(), err)
		}
	}
	return nil
}

func (f frozenState) save(db *pebble.DB) error {
	name := f.slot.engine.Name()
	next := image{gen: f.slot.image.gen + 1, lsn: f.lsn}
	err := f.image.Save(context.Background(), func(chunk []byte) error {
		next.chunks++
		return db.Set(chunkKey(name, next.gen, next.chunks-1), chunk, pebble.NoSync)
	})
	if err != nil {
		return err
	}
	b := db.NewBatch()
	defer b.Close()
	header := binary.LittleEndian.AppendUint64(nil, next.gen)
	header = binary.LittleEndian.AppendUint64(header, uint64(next.lsn))
	header = binary.LittleEndian.AppendUint64(header, next.chunks)
	if err := b.Set(stateKey(name, 'c'), header, nil); err != nil {
		return err
	}
	if err := b.DeleteRange(chunkKey(name, 0, 0), chunkKey(name, next.gen, 0), nil); err != nil {
		return err
	}
	if err := b.Commit(pebble.NoSync); err != nil {
		return err
	}
	f.slot.image = next
	return nil
}
