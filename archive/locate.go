package archive

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/cespare/xxhash/v2"
)

const seekEntryLen = 12 // with checksums

// Locate says where in a sealed object its damage is: the frame, its bytes in
// the object, and where its content is in the content. Empty when every frame is
// what the seek table says, or when the table itself cannot be read.
func Locate(ctx context.Context, s Store, key string, size int64) (string, error) {
	table, at, err := readSeekTable(ctx, s, key, size)
	if err != nil {
		return "", err
	}
	off, content := int64(0), int64(0)
	for i := 0; i+seekEntryLen <= len(table); i += seekEntryLen {
		packed := int64(binary.LittleEndian.Uint32(table[i:]))
		plain := int64(binary.LittleEndian.Uint32(table[i+4:]))
		if off+packed > at || plain > unsealWindowMax {
			return fmt.Sprintf("its seek table, from byte %d on, is damaged at frame %d", at, i/seekEntryLen), nil
		}
		frame := make([]byte, packed)
		if err := readObjectAt(ctx, s, key, frame, off); err != nil {
			return "", err
		}
		raw, err := sealDecoder().DecodeAll(frame, nil)
		if err != nil || int64(len(raw)) != plain || uint32(xxhash.Sum64(raw)) != binary.LittleEndian.Uint32(table[i+8:]) {
			return fmt.Sprintf("frame %d is damaged: bytes %d to %d of the object, content from %d to %d",
				i/seekEntryLen, off, off+packed-1, content, content+plain-1), nil
		}
		off, content = off+packed, content+plain
	}
	return "", nil
}

// readSeekTable gives the entries of the table, and where in the object it
// begins.
func readSeekTable(ctx context.Context, s Store, key string, size int64) ([]byte, int64, error) {
	foot := make([]byte, seekTableFooterLen)
	if size < int64(len(foot)) {
		return nil, 0, errors.New("is too short for a seek table")
	}
	if err := readObjectAt(ctx, s, key, foot, size-int64(len(foot))); err != nil {
		return nil, 0, err
	}
	n := int64(binary.LittleEndian.Uint32(foot))
	bytes := n * seekEntryLen
	at := size - int64(len(foot)) - bytes - 8
	if binary.LittleEndian.Uint32(foot[5:]) != seekTableMagic || foot[4] != 0x80 || bytes > seekTableBytesMax || at < 0 {
		return nil, 0, errors.New("has no seek table that can be read")
	}
	table := make([]byte, bytes)
	return table, at, readObjectAt(ctx, s, key, table, at+8)
}

func readObjectAt(ctx context.Context, s Store, key string, p []byte, off int64) error {
	r, err := s.ReadRange(ctx, key, off, int64(len(p)))
	if err != nil {
		return err
	}
	defer func() { _ = r.Close() }()
	_, err = io.ReadFull(r, p)
	return err
}
