package engine

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/nodedb-go/nodedb/internal/durable"
)

// document is the one JSON file that says what a directory is.
type document[T any] interface {
	*T
	validate() error
}

// readDocument reads a document of dir. absent is the error when there is none,
// a format for ErrNotANode, dir and name.
func readDocument[T any, D document[T]](fs vfs.FS, dir, name string, format int, absent string) (*T, error) {
	path := fs.PathJoin(dir, name)
	f, err := fs.Open(path)
	if errors.Is(err, errNotExist) {
		return nil, fmt.Errorf(absent, ErrNotANode, dir, name)
	}
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", name, err)
	}
	data, err := io.ReadAll(io.LimitReader(f, metaBytesMax+1))
	if err := errors.Join(err, f.Close()); err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return decodeDocument[T, D](path, data, format)
}

func decodeDocument[T any, D document[T]](path string, data []byte, format int) (*T, error) {
	if err := checkFormat(path, data, format); err != nil {
		return nil, err
	}
	d := new(T)
	if err := json.Unmarshal(data, d); err != nil {
		return nil, &MetaError{Path: path, Err: fmt.Errorf("not valid: %w", err)}
	}
	if err := D(d).validate(); err != nil {
		return nil, &MetaError{Path: path, Err: err}
	}
	return d, nil
}

// checkFormat refuses a document that is too long, or whose format decides that
// the rest cannot be understood.
func checkFormat(path string, data []byte, known int) error {
	if len(data) > metaBytesMax {
		return &MetaError{Path: path, Err: fmt.Errorf("larger than %d bytes", metaBytesMax)}
	}
	var head struct {
		Format *int `json:"format"`
	}
	if err := json.Unmarshal(data, &head); err != nil {
		return &MetaError{Path: path, Err: fmt.Errorf("not valid: %w", err)}
	}
	switch {
	case head.Format == nil || *head.Format < 1:
		return &MetaError{Path: path, Err: errors.New("not valid: no format")}
	case *head.Format > known:
		return fmt.Errorf("%w: %s has format %d, this version reads %d", ErrNewerFormat, path, *head.Format, known)
	}
	return nil
}

// writeDocument writes a document in dir, durably.
func writeDocument[T any, D document[T]](fs vfs.FS, dir, name string, d D) error {
	path := fs.PathJoin(dir, name)
	if err := d.validate(); err != nil {
		return &MetaError{Path: path, Err: err}
	}
	data, err := json.MarshalIndent(d, "", "  ")
	if err != nil {
		return &MetaError{Path: path, Err: err}
	}
	if err := durable.WriteFile(fs, dir, name, append(data, '\n')); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return nil
}
