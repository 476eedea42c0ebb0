package pitr

import (
	"errors"
	"fmt"
	"io"

	"github.com/cockroachdb/pebble/v2/vfs"
)

func readFile(fs vfs.FS, path string, bytesMax int64) ([]byte, error) {
	f, err := fs.Open(path)
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(io.LimitReader(f, bytesMax+1))
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	if int64(len(data)) > bytesMax {
		return nil, fmt.Errorf("read %s: more than %d bytes", path, bytesMax)
	}
	return data, nil
}
