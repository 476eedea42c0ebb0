package archive

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

const (
	keyLenMax     = 1024 // bytes; the limit of S3, and below that of Linux paths
	elementLenMax = 255  // bytes; the limit of file names
)

// tempPrefix starts the names of a file store's unfinished objects, so no
// key's element may start with it, in any store.
const tempPrefix = ".nodedb-tmp-"

// checkKey refuses names that some store would read differently from
// another: relative elements, empty ones, control characters. Spaces and
// UTF-8 are allowed.
func checkKey(key string) error {
	switch {
	case key == "":
		return fmt.Errorf("%w: it is empty", ErrBadKey)
	case len(key) > keyLenMax:
		return badKey(key, fmt.Sprintf("is longer than %d bytes", keyLenMax))
	case !utf8.ValidString(key):
		return badKey(key, "is not UTF-8")
	}
	for _, c := range key {
		if c < 0x20 || c == 0x7f || c == '\\' {
			return badKey(key, fmt.Sprintf("holds the character %q", c))
		}
	}
	if strings.Contains(key, "__0x") {
		return badKey(key, "holds __0x, which bucket drivers read as an escape")
	}
	for el := range strings.SplitSeq(key, "/") {
		switch {
		case el == "":
			return badKey(key, "has an empty element")
		case el == "." || el == "..":
			return badKey(key, "has a relative element")
		case len(el) > elementLenMax:
			return badKey(key, fmt.Sprintf("has an element longer than %d bytes", elementLenMax))
		case strings.HasPrefix(el, tempPrefix):
			return badKey(key, "has an element that starts with "+tempPrefix)
		}
	}
	return nil
}
