//go:build !unix

package tpc

import "errors"

func reservePages(int) ([]byte, error) {
	return nil, errors.New("tpc: no arena on this operating system")
}

func commitPages([]byte) error { return nil }

func decommitPages([]byte) {}

func releasePages([]byte) {}
