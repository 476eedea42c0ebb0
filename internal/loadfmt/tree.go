package loadfmt

import (
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
)

// Tree is what a directory holds, counted before it is read.
type Tree struct {
	Files   int64 // regular files
	Bytes   int64
	Skipped int64 // links, sockets, devices
	files   []treeFile
	root    string
}

type treeFile struct {
	path string // slash-separated, below root
	size int64
	err  error // found while walking
}

// ScanTree walks root. Directories that cannot be read become bad entries of
// the source, not errors here; only the root itself must be readable.
func ScanTree(root string) (*Tree, error) {
	info, err := os.Stat(root)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return nil, fmt.Errorf("%s is not a directory", root)
	}
	t := &Tree{root: root}
	// A trailing slash makes WalkDir follow a root that is a link.
	err = filepath.WalkDir(root+string(filepath.Separator), func(path string, d fs.DirEntry, err error) error {
		rel, rerr := filepath.Rel(root, path)
		if rerr != nil {
			return rerr
		}
		switch {
		case err != nil && rel == ".":
			return err
		case err != nil:
			t.files = append(t.files, treeFile{path: filepath.ToSlash(rel), err: err})
		case d.IsDir():
		case !d.Type().IsRegular():
			t.Skipped++
		default:
			f := treeFile{path: filepath.ToSlash(rel)}
			if info, err := d.Info(); err != nil {
				f.err = err
			} else {
				f.size = info.Size()
			}
			t.Files++
			t.Bytes += f.size
			t.files = append(t.files, f)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return t, nil
}

// Source reads the files that the scan found, in the order of their paths.
func (t *Tree) Source() Source { return &treeSource{tree: t, rest: t.files} }

type treeSource struct {
	tree   *Tree
	rest   []treeFile
	offset int64
}

// Next implements Source.
func (s *treeSource) Next() (Entry, error) {
	if len(s.rest) == 0 {
		return Entry{}, io.EOF
	}
	f := s.rest[0]
	s.rest = s.rest[1:]
	s.offset += f.size
	place := filepath.Join(s.tree.root, filepath.FromSlash(f.path))
	if f.err != nil {
		return Entry{}, &BadEntryError{Place: place, Err: f.err}
	}
	value, err := readFile(place, f.size)
	if err != nil {
		return Entry{}, &BadEntryError{Place: place, Err: err}
	}
	return Entry{Key: []byte(f.path), Value: value, Place: place}, nil
}

// readFile reads a whole file. It may have grown since it was counted.
func readFile(path string, size int64) ([]byte, error) {
	if size > fileBytesMax {
		return nil, ErrFileTooLarge
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	buf := make([]byte, 0, size+1)
	for {
		n, err := f.Read(buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		switch {
		case len(buf) > fileBytesMax:
			return nil, ErrFileTooLarge
		case err == io.EOF:
			return buf, nil
		case err != nil:
			return nil, err
		case len(buf) == cap(buf):
			buf = append(buf, 0)[:len(buf)]
		}
	}
}

// Offset implements Source.
func (s *treeSource) Offset() int64 { return s.offset }

// Skipped implements Source.
func (s *treeSource) Skipped() int64 { return s.tree.Skipped }

// Regular yields the paths and sizes of the regular files that can be values,
// in order.
func (t *Tree) Regular() iter.Seq2[string, int64] {
	return func(yield func(string, int64) bool) {
		for _, f := range t.files {
			if f.err == nil && f.size <= fileBytesMax && !yield(f.path, f.size) {
				return
			}
		}
	}
}
