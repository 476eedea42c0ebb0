package archive

import (
	"strings"
	"sync"
)

// KnownObjects remembers which local file was put into which store under
// which hash. Only files that never change after they are complete (SSTs)
// are remembered, by name, size and time. Safe for concurrent use.
type KnownObjects struct {
	mu    sync.Mutex
	files map[string]map[knownFile]knownObject // by store
}

type knownFile struct {
	vshard   uint16
	name     string
	bytes    int64
	modified int64
}

type knownObject struct {
	key         ObjKey
	sealedBytes int64
	sealedMD5   string
}

// NewKnownObjects is an empty memory.
func NewKnownObjects() *KnownObjects {
	return &KnownObjects{files: make(map[string]map[knownFile]knownObject)}
}

const knownFilesMax = 1 << 20

func (k *KnownObjects) find(store string, f knownFile) (knownObject, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	o, ok := k.files[store][f]
	return o, ok
}

func (k *KnownObjects) add(store string, f knownFile, o knownObject) {
	if !strings.HasSuffix(f.name, ".sst") {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	m := k.files[store]
	if m == nil || len(m) >= knownFilesMax {
		m = make(map[knownFile]knownObject) // full: learn again
		k.files[store] = m
	}
	m[f] = o
}

func (k *KnownObjects) forget(store string, key ObjKey) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for f, o := range k.files[store] {
		if o.key == key {
			delete(k.files[store], f)
		}
	}
}
