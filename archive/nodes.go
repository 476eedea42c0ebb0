package archive

import (
	"context"
	"fmt"
	"iter"
	"strings"
)

// FolderLister is a store that can list the names directly below a prefix
// without what lies deeper, whatever it holds there.
type FolderLister interface {
	// Folders yields what stands between prefix, which ends with a slash, and the
	// next slash of any key, ascending, each once. An error is yielded once, last,
	// of the same classes as those of List.
	Folders(ctx context.Context, prefix string) iter.Seq2[string, error]
}

// Nodes lists the ids of the nodes that have objects in the store: one request
// for a thousand nodes where the store is a FolderLister, else one for each node.
func Nodes(ctx context.Context, s Store) ([]string, error) {
	if l, ok := s.(FolderLister); ok {
		return nodeFolders(ctx, l)
	}
	var ids []string
	for after := ""; ; {
		found := false
		for o, err := range s.List(ctx, root, after) {
			if err != nil {
				return nil, fmt.Errorf("list nodes: %w", err)
			}
			id, _, _ := strings.Cut(strings.TrimPrefix(o.Key, root), "/")
			if ValidNodeID(id) {
				ids = append(ids, id)
			}
			// The byte after the slash ends the node's keys.
			after, found = root+id+"0", true
			break
		}
		if !found {
			return ids, nil
		}
	}
}

func nodeFolders(ctx context.Context, l FolderLister) ([]string, error) {
	var ids []string
	for id, err := range l.Folders(ctx, root) {
		if err != nil {
			return nil, fmt.Errorf("list nodes: %w", err)
		}
		if ValidNodeID(id) {
			ids = append(ids, id)
		}
	}
	return ids, nil
}
