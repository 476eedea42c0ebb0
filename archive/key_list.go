package archive

import (
	"context"
	"fmt"
	"iter"
	"strings"
)

// listed is an object and what its name says.
type listed[K Key] struct {
	Key    K
	Object Object
}

// listKeys lists the objects of a node below dir, which is relative to the
// node's prefix, in ascending order of names that sort after after, relative as
// well ("": all). Objects whose names are not those of a K are somebody else's
// and are passed over. An error is yielded once, last.
func listKeys[K Key](ctx context.Context, s Store, nodeID, dir, after string) iter.Seq2[listed[K], error] {
	prefix := NodePrefix(nodeID)
	if after != "" {
		after = prefix + after
	}
	return func(yield func(listed[K], error) bool) {
		for o, err := range s.List(ctx, prefix+dir, after) {
			if err != nil {
				yield(listed[K]{}, fmt.Errorf("list %s of node %s: %w", strings.TrimSuffix(dir, "/"), nodeID, err))
				return
			}
			k, err := ParseKey(strings.TrimPrefix(o.Key, prefix))
			if err != nil {
				continue
			}
			if k, ok := k.(K); ok && !yield(listed[K]{k, o}, nil) {
				return
			}
		}
	}
}
