//go:build !linux

package tpc

import "errors"

func allowedCPUs() ([]int, error) {
	return nil, errors.New("tpc: Pin: no thread affinity on this operating system")
}

func pinThread(int) error { return nil }

func onMainThread() bool { return false }
