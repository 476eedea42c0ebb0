package archive

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
)

// The small objects of an archive (epochs, gaps, pins, manifests) are JSON
// documents with a "version". A reader passes over fields that it does not
// know, and refuses a version above its own with ErrVersion.
//
// "crc32c" is the checksum of everything else, without which a flipped digit
// would be another fork LSN: CRC-32C, 8 hex digits, of the document without it,
// keys sorted and no white space. It does not depend on layout, and a document
// without it is taken as it is, so that a person can write one.
const sumField = "crc32c"

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
	want, got, err := jsonSums(data)
	if err != nil {
		return err
	}
	if want != nil && want != got {
		return fmt.Errorf("has checksum %s and says %v", got, want)
	}
	return json.Unmarshal(data, v)
}

// jsonSums is the checksum that a document says it has, nil if it says none,
// and the one that it has.
func jsonSums(data []byte) (says any, has string, err error) {
	var fields map[string]any
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	if err := d.Decode(&fields); err != nil {
		return nil, "", err
	}
	says = fields[sumField]
	delete(fields, sumField)
	plain, err := json.Marshal(fields)
	if err != nil {
		return nil, "", err
	}
	return says, fmt.Sprintf("%08x", crc32.Checksum(plain, castagnoli)), nil
}

// encodeJSON writes an object with at least one field.
func encodeJSON(v any) ([]byte, error) {
	data, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return nil, err
	}
	_, sum, err := jsonSums(data)
	if err != nil {
		return nil, err
	}
	open := bytes.TrimSuffix(data, []byte("\n}"))
	return fmt.Appendf(open, ",\n  %q: %q\n}\n", sumField, sum), nil
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
