//go:build !linux

package tpc

import "time"

// parker puts the core to sleep on a channel, where there is no eventfd.
type parker struct {
	signal chan struct{}
	timer  *time.Timer
}

func newParker() (*parker, error) {
	return &parker{signal: make(chan struct{}, 16), timer: time.NewTimer(time.Hour)}, nil
}

func (p *parker) sleep(timeout time.Duration) (signals uint64) {
	p.timer.Reset(timeout)
	select {
	case <-p.signal:
		return 1
	case <-p.timer.C:
		return 0
	}
}

func (p *parker) unpark() {
	p.signal <- struct{}{} // at most one is owed per sleep, so there is room
}

func (p *parker) close() { p.timer.Stop() }
