package node

import (
	"fmt"
	"strconv"
)

// parseInteger reads a value that Increment may add to: a decimal 64-bit
// integer in its only spelling.
func parseInteger(p []byte) (int64, error) {
	n, err := strconv.ParseInt(string(p), 10, 64)
	if err != nil || string(appendInteger(nil, n)) != string(p) {
		return 0, fmt.Errorf("%w: it is %d bytes", ErrNotInteger, len(p))
	}
	return n, nil
}

func appendInteger(dst []byte, n int64) []byte { return strconv.AppendInt(dst, n, 10) }

func addInteger(n, delta int64) (int64, error) {
	sum := n + delta
	if (sum > n) != (delta > 0) && delta != 0 {
		return 0, fmt.Errorf("%w: %d + %d", ErrNotInteger, n, delta)
	}
	return sum, nil
}
