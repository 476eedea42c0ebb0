package archive

import (
	"bytes"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// Local line files: "<crc32c, 8 hex digits> <JSON>\n". The checksum is over
// the JSON. A line that does not check, a torn last one included, is passed
// over; zero bytes (preallocated room) end the file.

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// appendLine encodes v, which must be a type that JSON can hold.
func appendLine(dst []byte, v any) []byte {
	body, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("archive: encode %T: %v", v, err)) // programmer error
	}
	dst = fmt.Appendf(dst, "%08x ", crc32.Checksum(body, castagnoli))
	dst = append(dst, body...)
	return append(dst, '\n')
}

// readLines gives every good line to yield. It returns where the last line
// ends (good or bad, newline included) and how many were bad.
func readLines[T any](data []byte, yield func(T)) (end int64, bad int) {
	if i := bytes.IndexByte(data, 0); i >= 0 {
		data = data[:i]
	}
	for len(data) > 0 {
		line, rest, ok := bytes.Cut(data, []byte{'\n'})
		if !ok {
			return end, bad + 1 // torn: the next line is written over it
		}
		end += int64(len(line)) + 1
		data = rest
		var v T
		if decodeLine(line, &v) {
			yield(v)
		} else {
			bad++
		}
	}
	return end, bad
}

func decodeLine(line []byte, v any) bool {
	const head = 9 // 8 digits and a space
	if len(line) < head || line[8] != ' ' {
		return false
	}
	body := line[head:]
	if want := fmt.Appendf(nil, "%08x", crc32.Checksum(body, castagnoli)); !bytes.Equal(want, line[:8]) {
		return false
	}
	return json.Unmarshal(body, v) == nil
}

// readFileMax reads a whole local file of at most bytesMax bytes.
func readFileMax(fsys vfs.FS, path string, bytesMax int64) ([]byte, error) {
	f, err := fsys.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	data, err := io.ReadAll(io.LimitReader(f, bytesMax+1))
	if err == nil && int64(len(data)) > bytesMax {
		err = fmt.Errorf("archive: %s is larger than %d bytes", path, bytesMax)
	}
	return data, err
}
