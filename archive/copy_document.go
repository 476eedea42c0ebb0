package archive

import (
	"bytes"
	"context"
	"fmt"
)

// complete tells whether an object may be copied now: a manifest only when the
// target holds all that it names.
func (r *copyRun) complete(ctx context.Context, it *copyItem) error {
	k, ok := it.key.(BaseKey)
	if !ok {
		return nil
	}
	var m *Manifest
	var err error
	for _, src := range it.sources {
		within, cancel := r.within(ctx, src.obj.Size)
		m, err = ReadBase(within, r.from[src.store].store, r.nodeID, k)
		cancel()
		if err == nil {
			break
		}
	}
	if err != nil {
		return err
	}
	for i := range m.VShards {
		for j := range m.VShards[i].Files {
			obj, err := m.VShards[i].Files[j].Object()
			if err != nil {
				return err
			}
			if !r.holds(obj.Content().String()) {
				return fmt.Errorf("the base is left out, since its content %s is not in the target: %w", obj, ErrNotFound)
			}
		}
	}
	return nil
}

func (r *copyRun) holds(path string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.ok[path]
}

// sameDocument compares a small document of the target with the source's. Two
// writers' claims of one epoch are two histories, and end the copy.
func (r *copyRun) sameDocument(ctx context.Context, it *copyItem) error {
	full := Join(r.nodeID, it.key)
	there, err := readSmall(ctx, r.to, full, manifestBytesMax)
	if err != nil {
		return &targetError{err}
	}
	var other []byte
	for _, src := range it.sources {
		other, err = readSmall(ctx, r.from[src.store].store, full, manifestBytesMax)
		if err == nil {
			break
		}
	}
	if err != nil {
		return err
	}
	if bytes.Equal(there, other) {
		return nil
	}
	if err := checkDocument(it.key, r.nodeID, there); err != nil {
		return placed(r.to, full, err)
	}
	switch k := it.key.(type) {
	case FormatKey, GapKey:
		return nil // it says the same, whoever wrote it
	case EpochKey:
		ours, err := decodeEpoch(other, r.nodeID, k.Epoch)
		if err != nil {
			return err
		}
		theirs, err := decodeEpoch(there, r.nodeID, k.Epoch)
		if err != nil || ours.Incarnation == theirs.Incarnation {
			return err
		}
		return &FencedError{Store: r.to.URL(), NodeID: r.nodeID, Own: k.Epoch, By: &theirs, Key: full,
			Reason: "it holds the history of another writer; copy to another prefix"}
	}
	return &ObjectError{Store: r.to.URL(), Key: full, Offset: -1, Reason: "it is another document than the source's, and stays as it is"}
}
