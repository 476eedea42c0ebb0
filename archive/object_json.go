package archive

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// The small objects of an archive (epochs, gaps, pins, manifests) are JSON
// documents with a "version". A reader passes over fields that it does not
// know, and refuses a version above its own with ErrVersion.

// decodeJSON reads one document of at most the given version into v.
func decodeJSON(data []byte, versionMax int, v any) error {
	var head struct {
		Version *int `json:"version"`
	}
	if err := json.Unmarshal(data, &head); err != nil {
		return err
	}
	switch {
	case head.Version == nil || *head.Version < 1:
		return errors.New("has no version")
	case *head.Version > versionMax:
		return fmt.Errorf("%w: version %d, known up to %d", ErrVersion, *head.Version, versionMax)
	}
	return json.Unmarshal(data, v)
}

func encodeJSON(v any) ([]byte, error) {
	data, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return nil, err
	}
	return append(data, '\n'), nil
}

// readSmall reads a whole object of at most bytesMax bytes.
func readSmall(ctx context.Context, s Store, key string, bytesMax int64) ([]byte, error) {
	r, err := s.ReadRange(ctx, key, 0, bytesMax+1)
	if err != nil {
		return nil, err
	}
	defer func() { _ = r.Close() }()
	data, err := io.ReadAll(io.LimitReader(r, bytesMax+1))
	if err != nil {
		return nil, err
	}
	if int64(len(data)) > bytesMax {
		return nil, objectErr(s, key, fmt.Sprintf("is larger than %d bytes", bytesMax), nil)
	}
	return data, nil
}

// createSmall creates an object. An object that is there with the very same
// bytes is success: an earlier attempt's answer was lost. A different one is
// ErrExists.
func createSmall(ctx context.Context, s Store, key string, data []byte) error {
	err := s.Create(ctx, key, bytes.NewReader(data), int64(len(data)))
	if !errors.Is(err, ErrExists) {
		return err
	}
	there, rerr := readSmall(ctx, s, key, int64(len(data))+1)
	if rerr != nil && !errors.Is(rerr, ErrCorrupt) {
		return rerr
	}
	if rerr == nil && bytes.Equal(there, data) {
		return nil
	}
	return err
}

// objectErr is damage of a small object, unless the cause is a version that
// is too new: that is returned as it is.
func objectErr(s Store, key, reason string, cause error) error {
	if errors.Is(cause, ErrVersion) {
		return fmt.Errorf("read %s in %s: %w", key, s.URL(), cause)
	}
	return &ObjectError{Store: s.URL(), Key: key, Offset: -1, Reason: reason, Err: cause}
}
