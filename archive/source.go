package archive

import (
	"errors"
	"io"
	"sync"
)

// source is the body of one Create. It remembers why reading it failed, since
// that is no trouble of the store and must not be retried as such, and ends
// the upload then; and it never touches the caller's body after stop.
type source struct {
	body io.ReaderAt
	size int64
	fail func() // called once, at the first error; may be nil

	mu      sync.Mutex
	err     error
	stopped bool
}

var errStopped = errors.New("upload is over")

func (s *source) reader() *io.SectionReader { return io.NewSectionReader(s, 0, s.size) }

// ReadAt reads like the body, except that a body that is shorter than size is
// an error. It holds the lock, so that stop waits for it.
func (s *source) ReadAt(p []byte, off int64) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped {
		return 0, errStopped
	}
	n, err := s.body.ReadAt(p, off)
	if n == len(p) || off+int64(n) >= s.size {
		return n, err
	}
	if err == nil || err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	if s.err == nil {
		s.err = err
		if s.fail != nil {
			s.fail()
		}
	}
	return n, err
}

// stop ends all reading and tells why reading failed, if it did.
func (s *source) stop() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopped = true
	return s.err
}
