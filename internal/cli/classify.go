package cli

import (
	"errors"

	"github.com/nodedb-go/nodedb/archive"
	"github.com/nodedb-go/nodedb/node/engine"
	"github.com/nodedb-go/nodedb/pitr"
	"github.com/nodedb-go/nodedb/wal"
)

// ClassifyStorage knows the errors of wal, archive and pitr.
//
// What a restore makes of an error decides the code, and the store's class the
// advice that is closer to the cause.
func ClassifyStorage(err error) (Code, string, bool) {
	code, hint, ok := classifyRestore(err)
	if ok && hint != "" {
		return code, hint, true
	}
	below, hint, known := classifyStore(err)
	switch {
	case !ok:
		return below, hint, known
	case hint == "" && code == CodeUnreachable:
		hint = "nothing is known about what the store holds; try again when it answers"
	}
	return code, hint, true
}

// classifyStore knows what stores, logs and their objects can do wrong.
func classifyStore(err error) (Code, string, bool) {
	switch {
	case errors.Is(err, archive.ErrBadURL):
		return CodeUsage, "an archive is named like file:///var/backup or s3://bucket/prefix?region=eu-central-1", true
	case errors.Is(err, archive.ErrBadNodeID):
		return CodeUsage, "a node id is 1 to 63 of a-z 0-9 . _ - and begins with a letter or digit", true
	case errors.Is(err, archive.ErrKeyMissing):
		return CodeError, "give the file of one of these identities: --age-identity FILE", true
	case errors.Is(err, archive.ErrBadRecipient), errors.Is(err, archive.ErrBadIdentity):
		return CodeUsage, "make a pair of keys with: nodedb archive keygen --out FILE", true
	case errors.Is(err, archive.ErrEncrypted):
		return CodeUsage, "give the recipients again, --age-recipient age1…; or go on in plain with --age-recipient none", true
	case errors.Is(err, archive.ErrFenced):
		return CodeFenced, "stop the other node, or restore this one under a new timeline", true
	case errors.Is(err, archive.ErrNoStore):
		return CodeUnreachable, "create the bucket, or check its name", true
	case errors.Is(err, archive.ErrDenied):
		return CodeUnreachable, "check the credentials and the permissions of the store", true
	case errors.Is(err, archive.ErrThrottled):
		return CodeUnreachable, "the store asks for a slower pace; try again later, or with a lower --parallel", true
	case errors.Is(err, archive.ErrArchiveStalled):
		return CodeError, "writes go on when the archive has caught up; reads work", true
	case errors.Is(err, wal.ErrVersion), errors.Is(err, wal.ErrUnknownType), errors.Is(err, archive.ErrVersion):
		return CodeError, "use the version of this program that wrote it, or a newer one", true
	case errors.Is(err, archive.ErrCorrupt):
		return CodeCorrupt, "look with: nodedb archive verify; another store, or an earlier target, may still do", true
	case errors.Is(err, wal.ErrCorrupt):
		return CodeCorrupt, "look with: nodedb wal verify --dir DIR", true
	}
	return 0, "", false
}

func classifyRestore(err error) (Code, string, bool) {
	if errors.Is(err, pitr.ErrTargetDirNotEmpty) {
		return CodeUsage, "name a directory that is empty or does not exist; nothing was changed", true
	}
	switch {
	case errors.Is(err, pitr.ErrNotStandby):
		return CodeUsage, "a standby is made with pitr-restore restore --follow in an empty or absent directory; nothing was changed", true
	case errors.Is(err, pitr.ErrFollowed):
		return CodeError, "stop that process first; a standby stays as it is", true
	case errors.Is(err, engine.ErrLocked):
		return CodeError, "somebody has it open; try again when it is closed", true
	}
	if _, ok := errors.AsType[*pitr.DivergedError](err); ok {
		return CodeFenced, "", true
	}
	if _, ok := errors.AsType[*pitr.SpaceError](err); ok {
		return CodeError, "free the disk, name another --target-dir, or go on all the same with --ignore-space", true
	}
	if errors.Is(err, pitr.ErrNoStores) {
		return CodeUsage, "give --archive URL", true
	}
	if e, ok := errors.AsType[*pitr.OutOfWindowError](err); ok {
		return CodeOutside, nearestPoints(e.Nearest), true
	}
	if e, ok := errors.AsType[*pitr.GapError](err); ok {
		return CodeGap, nearestPoints(e.Nearest), true
	}
	if _, ok := errors.AsType[*pitr.AmbiguousError](err); ok {
		return CodeFenced, "choose a history with --timeline N", true
	}
	if _, ok := errors.AsType[*pitr.DigestError](err); ok {
		return CodeCorrupt, "check the objects with: pitr-restore verify", true
	}
	code := Code(pitr.ExitCode(err))
	if code == CodeCold {
		return code, "pitr-restore thaw, with the target of the restore, asks for all that it needs; then try again", true
	}
	return code, "", code != CodeError
}

func nearestPoints(n pitr.Nearest) string {
	hint := ""
	if n.Before != nil {
		hint = "nearest before: " + FormatPosition(*n.Before)
	}
	if n.After != nil {
		if hint != "" {
			hint += "\n"
		}
		hint += "nearest after:  " + FormatPosition(*n.After)
	}
	return hint
}

// FormatPosition writes an LSN with its timeline and time.
func FormatPosition(p pitr.Position) string {
	text := "LSN " + p.LSN.String()
	if p.Timeline != 0 {
		text += " on timeline " + p.Timeline.String()
	}
	if !p.Time.IsZero() {
		text += " at " + FormatTime(p.Time)
	}
	return text
}
