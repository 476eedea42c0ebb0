package pitr

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/cockroachdb/errors/oserror"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/nodedb-go/nodedb/archive"
	"github.com/nodedb-go/nodedb/internal/durable"
)

// A stage is the directory beside the target in which the node is built:
//
//	<target>.nodedb-restore-<id>/
//	    restore/LOCK      held while a process works here
//	    restore/plan.json what is being built; durable before anything is fetched
//	    restore/base-done all files of the base are complete
//	    restore/result.json  what was found out, written before node.json
//	    vshard/ wal/      the node to be
//	    node.json         written last: its presence says that all is done
//
// The whole directory becomes the target by one rename; restore/ is removed
// after it.
type stage struct {
	fs      vfs.FS
	target  string
	dir     string // of the node to be: beside the target, or the target after the rename
	lock    io.Closer
	plan    *Plan
	resumed bool
}

const (
	stageMark    = ".nodedb-restore-"
	stageSubdir  = "restore"
	planName     = "plan.json"
	planBytesMax = 1 << 30
)

// openStage checks the target and takes over an earlier stage for the same
// target when resume is set, or makes a new one.
func openStage(o *Options, targetDir string, plan *Plan) (*stage, error) {
	abs, err := filepath.Abs(targetDir)
	if err != nil {
		return nil, fmt.Errorf("resolve target directory: %w", err)
	}
	s := &stage{fs: o.FS, target: abs}
	if o.Resume {
		found, err := s.findEarlier(plan)
		if err != nil || found {
			return s, err
		}
	}
	if err := s.checkTargetFree(); err != nil {
		return nil, err
	}
	if !o.IgnoreSpace {
		if err := checkSpace(o.FS, abs, plan); err != nil {
			return nil, err
		}
	}
	if err := plan.name(o.Rand); err != nil {
		return nil, err
	}
	var id [4]byte
	if _, err := io.ReadFull(o.Rand, id[:]); err != nil {
		return nil, fmt.Errorf("draw id of staging directory: %w", err)
	}
	s.dir, s.plan = abs+stageMark+hex.EncodeToString(id[:]), plan
	if err := s.create(); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// checkTargetFree refuses a target that holds anything.
func (s *stage) checkTargetFree() error {
	info, err := s.fs.Stat(s.target)
	if oserror.IsNotExist(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("look at target directory: %w", err)
	}
	if !info.IsDir() {
		return fmt.Errorf("%w: %s is a file", ErrTargetDirNotEmpty, s.target)
	}
	names, err := s.fs.List(s.target)
	if err != nil {
		return fmt.Errorf("list target directory: %w", err)
	}
	if len(names) > 0 {
		return fmt.Errorf("%w: %s holds %q",
			ErrTargetDirNotEmpty, s.target, names[0])
	}
	return nil
}

func (s *stage) path(elem ...string) string {
	return s.fs.PathJoin(append([]string{s.dir}, elem...)...)
}

// create makes the stage with its plan. Crash here: a directory without a plan
// is left; the next resume removes it.
func (s *stage) create() error {
	if err := s.fs.MkdirAll(s.path(stageSubdir), 0o755); err != nil {
		return fmt.Errorf("make staging directory: %w", err)
	}
	if err := s.takeLock(); err != nil {
		return err
	}
	if err := s.writePlan(); err != nil {
		return err
	}
	return s.syncDirs(s.path(), s.fs.PathDir(s.dir))
}

func (s *stage) writePlan() error {
	data, err := json.MarshalIndent(s.plan, "", "  ")
	if err != nil {
		return fmt.Errorf("encode plan: %w", err)
	}
	return durable.WriteFile(s.fs, s.path(stageSubdir), planName, data)
}

// replan starts the stage anew with another plan, before any store was opened.
func (s *stage) replan(p *Plan) error {
	if err := s.fs.RemoveAll(s.path("vshard")); err != nil {
		return fmt.Errorf("remove files of the damaged base: %w", err)
	}
	if err := s.syncDirs(s.dir); err != nil {
		return err
	}
	// Crash here: the old plan without files; the next run comes here again.
	s.plan = p
	return s.writePlan()
}

func (s *stage) takeLock() error {
	lock, err := s.fs.Lock(s.path(stageSubdir, "LOCK"))
	if err != nil {
		return fmt.Errorf("%w: %s: %w", ErrRestoreRunning, s.dir, err)
	}
	s.lock = lock
	return nil
}

// findEarlier looks for what an earlier run left: the target itself, when only
// the cleaning was missing, or a stage with the same target in its plan.
func (s *stage) findEarlier(want *Plan) (bool, error) {
	s.dir = s.target
	if got, err := s.readPlan(); err == nil && want.sameGoal(got) {
		return true, s.adopt(got, want)
	}
	parent, mark := s.fs.PathDir(s.target), s.fs.PathBase(s.target)+stageMark
	names, err := s.fs.List(parent)
	if oserror.IsNotExist(err) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("look for an earlier restore: %w", err)
	}
	for _, name := range names {
		if !strings.HasPrefix(name, mark) {
			continue
		}
		s.dir = s.fs.PathJoin(parent, name)
		got, err := s.readPlan()
		switch {
		case oserror.IsNotExist(err):
			if err := s.removeUnborn(); err != nil {
				return false, err
			}
		case err != nil:
			return false, err
		case want.sameGoal(got):
			return true, s.adopt(got, want)
		}
	}
	return false, nil
}

// adopt goes on with the stored plan: what it names cannot have changed.
func (s *stage) adopt(got, want *Plan) error {
	if err := s.takeLock(); err != nil {
		return err
	}
	s.plan, s.resumed = got, true
	return got.attach(want.src)
}

// removeUnborn removes a stage that never got its plan, unless a process is
// just making it.
func (s *stage) removeUnborn() error {
	if _, err := s.fs.Stat(s.path(stageSubdir)); err == nil {
		if err := s.takeLock(); err != nil {
			return nil // in use
		}
		if err := s.Close(); err != nil {
			return err
		}
	}
	if err := s.fs.RemoveAll(s.dir); err != nil {
		return fmt.Errorf("remove unfinished staging directory: %w", err)
	}
	return nil
}

func (s *stage) readPlan() (*Plan, error) {
	data, err := readFile(s.fs, s.path(stageSubdir, planName), planBytesMax)
	if err != nil {
		return nil, err
	}
	var p Plan
	if err := json.Unmarshal(data, &p); err != nil {
		return nil, fmt.Errorf("read plan in %s: %w; remove the directory to start anew", s.dir, err)
	}
	if p.Format > planFormat {
		return nil, fmt.Errorf("read plan in %s: format %d: %w", s.dir, p.Format, archive.ErrVersion)
	}
	return &p, nil
}

// activate makes the finished stage the target.
func (s *stage) activate() error {
	if s.dir != s.target {
		if err := s.checkTargetFree(); err != nil {
			return err
		}
		// An empty directory makes way: not every rename replaces one. Remove
		// takes no directory that holds something by now.
		if err := s.fs.Remove(s.target); err != nil && !oserror.IsNotExist(err) {
			return fmt.Errorf("put restored node in place: %w", err)
		}
		// Crash here: the stage is complete and its node.json says so; a resume
		// comes straight to this line.
		if err := s.fs.Rename(s.dir, s.target); err != nil {
			return fmt.Errorf("put restored node in place: %w", err)
		}
		s.dir = s.target
		// Crash here: the rename may be undone, which leaves the complete stage.
		if err := s.syncDirs(s.fs.PathDir(s.target)); err != nil {
			return err
		}
	}
	// Crash here: the node is complete; restore/ in it is in nobody's way, and
	// a resume removes it.
	if err := s.Close(); err != nil {
		return err
	}
	if err := s.fs.RemoveAll(s.path(stageSubdir)); err != nil {
		return fmt.Errorf("remove restore journal: %w", err)
	}
	return s.syncDirs(s.target)
}

// removeTwins removes other stages with the same goal: the target is in place
// and nobody will finish them. One that a process works in is left alone.
func (s *stage) removeTwins() error {
	parent, mark := s.fs.PathDir(s.target), s.fs.PathBase(s.target)+stageMark
	names, err := s.fs.List(parent)
	if err != nil {
		return fmt.Errorf("look for other staging directories: %w", err)
	}
	goal := *s.plan
	if goal.Shape != nil { // the other run may have drawn another name
		goal.Shape = &Shape{VShards: goal.Shape.VShards, Tenants: goal.Shape.Tenants, Prefixes: goal.Shape.Prefixes}
	}
	for _, name := range names {
		if !strings.HasPrefix(name, mark) {
			continue
		}
		twin := &stage{fs: s.fs, target: s.target, dir: s.fs.PathJoin(parent, name)}
		if p, err := twin.readPlan(); err != nil || !goal.sameGoal(p) || twin.takeLock() != nil {
			continue
		}
		if err := errors.Join(twin.Close(), s.fs.RemoveAll(twin.dir)); err != nil {
			return fmt.Errorf("remove staging directory: %w", err)
		}
	}
	return nil
}

// Close gives the stage up, to be resumed by somebody else.
func (s *stage) Close() error {
	if s.lock == nil {
		return nil
	}
	lock := s.lock
	s.lock = nil
	return lock.Close()
}

func (s *stage) syncDirs(dirs ...string) error {
	for _, dir := range dirs {
		if err := durable.SyncDir(s.fs, dir); err != nil {
			return err
		}
	}
	return nil
}
