package pitr

import (
	"fmt"

	"github.com/cockroachdb/errors/oserror"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// growth is how much disk a stored byte of a segment takes at most, on a guess:
// it was compressed once, and what it says may be written twice before a
// compaction.
const growth = 2

// SpaceError: the file system of the target has less room than the restore is
// expected to take.
type SpaceError struct {
	Dir              string // the file system's
	Need, Have, Base int64  // bytes; Base is the part that is known exactly
}

func (e *SpaceError) Error() string {
	return fmt.Sprintf("the restore takes about %d MiB (%d MiB of it files of the base), and the file system of %s has %d MiB left: nothing was fetched",
		e.Need>>20, e.Base>>20, e.Dir, e.Have>>20)
}

// diskBytes is what the restored files are expected to take.
func (p *Plan) diskBytes() int64 {
	var n int64
	for _, s := range p.Segments {
		n += growth * s.Bytes
	}
	if p.Base != nil {
		n += p.Base.Bytes
	}
	if p.Shape != nil {
		n *= 2 // the whole state and what is kept of it are there at once
	}
	return n
}

// checkSpace refuses a restore that would fill the disk. A file system that
// does not say how full it is refuses nothing.
func checkSpace(fs vfs.FS, dir string, p *Plan) error {
	for {
		_, err := fs.Stat(dir)
		if err == nil {
			break
		}
		if up := fs.PathDir(dir); oserror.IsNotExist(err) && up != dir {
			dir = up
			continue
		}
		return fmt.Errorf("look for room: %w", err)
	}
	usage, err := fs.GetDiskUsage(dir)
	if err != nil {
		return nil
	}
	if need := p.diskBytes(); usage.AvailBytes < uint64(need) {
		e := &SpaceError{Dir: dir, Need: need, Have: int64(usage.AvailBytes)}
		if p.Base != nil {
			e.Base = p.Base.Bytes
		}
		return e
	}
	return nil
}
