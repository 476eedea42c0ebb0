package archive

import (
	"context"
	"errors"
	"io/fs"
	"iter"
	"path"
	"slices"
	"strings"
)

// List walks the directories in the order of the keys: "a-b" sorts before
// "a/b", so a directory sorts as its name with a slash. Temporary files and
// everything that is not a regular file are passed over.
func (s *fileStore) List(ctx context.Context, prefix, after string) iter.Seq2[Object, error] {
	return func(yield func(Object, error) bool) {
		w := &fileWalk{s: s, ctx: ctx, prefix: prefix, after: after, yield: yield}
		// Start as deep as the prefix allows.
		dir := ""
		if i := strings.LastIndexByte(prefix, '/'); i >= 0 {
			dir = prefix[:i]
			if checkKey(dir) != nil {
				return // no key can have this prefix
			}
		}
		if _, err := w.walk(dir); err != nil {
			yield(Object{}, s.fail(ctx, "list", dir, err))
		}
	}
}

type fileWalk struct {
	s             *fileStore
	ctx           context.Context
	prefix, after string
	yield         func(Object, error) bool
}

// entry is a name in a directory; sort is the name as it takes part in keys.
type entry struct {
	name, sort string
	info       fs.FileInfo
}

// walk yields the objects below dir ("" is the root) and tells whether to go
// on.
func (w *fileWalk) walk(dir string) (bool, error) {
	entries, err := await(w.ctx, w.s, func() ([]entry, error) { return w.read(dir) })
	if err != nil {
		return false, err
	}
	for _, e := range entries {
		key := path.Join(dir, e.name)
		if e.info == nil {
			if ok, err := w.walk(key); !ok || err != nil {
				return ok, err
			}
			continue
		}
		if err := w.ctx.Err(); err != nil {
			return false, err
		}
		if !w.yield(Object{Key: key, Size: e.info.Size(), ModTime: e.info.ModTime()}, nil) {
			return false, nil
		}
	}
	return true, nil
}

// read gives the entries of dir that may lead to wanted keys, sorted.
func (w *fileWalk) read(dir string) ([]entry, error) {
	root, err := w.s.openDir()
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil // the first Create makes it
	}
	if err != nil {
		return nil, err
	}
	defer func() { _ = root.Close() }()
	if dir == "" {
		dir = "."
	}
	d, err := root.Open(dir)
	if err != nil {
		if errors.Is(absent(err), fs.ErrNotExist) {
			return nil, nil
		}
		return nil, err
	}
	defer func() { _ = d.Close() }()
	list, err := d.ReadDir(-1)
	if err != nil {
		return nil, absent(err)
	}
	out := make([]entry, 0, len(list))
	for _, de := range list {
		e, ok, err := w.entry(dir, de)
		if err != nil {
			return nil, err
		}
		if ok {
			out = append(out, e)
		}
	}
	slices.SortFunc(out, func(a, b entry) int { return strings.Compare(a.sort, b.sort) })
	return out, nil
}

func (w *fileWalk) entry(dir string, de fs.DirEntry) (entry, bool, error) {
	name := de.Name()
	key := path.Join(dir, name)
	switch {
	case strings.HasPrefix(name, tempPrefix):
	case de.IsDir():
		sub := key + "/"
		inside := strings.HasPrefix(sub, w.prefix) || strings.HasPrefix(w.prefix, sub)
		// All keys of sub sort before after when sub does and is no prefix of it.
		done := sub < w.after && !strings.HasPrefix(w.after, sub)
		if inside && !done {
			return entry{name: name, sort: name + "/"}, true, nil
		}
	case de.Type().IsRegular():
		if !strings.HasPrefix(key, w.prefix) || key <= w.after {
			break
		}
		info, err := de.Info()
		if errors.Is(err, fs.ErrNotExist) {
			break // deleted since
		}
		return entry{name: name, sort: name, info: info}, err == nil, err
	}
	return entry{}, false, nil
}
