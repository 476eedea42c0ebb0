package resp

import (
	"context"
	"testing"
	"time"

	"github.com/nodedb-go/nodedb/node"
	"github.com/nodedb-go/nodedb/wal"
)

// GET key AT asks for the key of the client's tenant, at an LSN or a time, and
// shows strings only.
func TestGetAt(t *testing.T) {
	day := time.Date(2026, 3, 1, 9, 41, 7, 0, time.UTC)
	r := serve(t, Options{At: func(_ context.Context, tenant uint32, key []byte, lsn wal.LSN, at time.Time) ([]byte, error) {
		switch {
		case tenant == 7 && string(key) == "k" && lsn == 5 && at.IsZero():
			return []byte("five"), nil
		case tenant == 7 && string(key) == "k" && lsn == 0 && at.Equal(day):
			return stored(appendMark(nil, kindHash)), nil
		case string(key) == "h":
			return appendElements(appendMark(nil, kindHash), kindHash, golden[0].elems), nil
		}
		return nil, node.ErrNotFound
	}})
	r.client().script([2]string{`SELECT 7`, "OK"}, [2]string{`GET k AT 5`, "five"}, [2]string{`get k at 2026-03-01T10:41:07+01:00`, string(appendMark(nil, kindHash))},
		[2]string{`GET k AT 6`, "nil"}, [2]string{`GET h AT 5`, "-" + string(errWrongType)}, [2]string{`GET k AT 0`, "-ERR AT wants an LSN above 0, or a time like 2026-03-01T09:41:07Z"},
		[2]string{`GET k AT x`, "-ERR AT wants an LSN above 0, or a time like 2026-03-01T09:41:07Z"}, [2]string{`GET k NO 5`, "-ERR wrong number of arguments for 'get' command"},
		[2]string{`SELECT 0`, "OK"}, [2]string{`GET k AT 5`, "nil"})
	serve(t, Options{}).client().script([2]string{`GET k AT 5`, "-ERR GET with AT needs an archive: serve with --archive"})
}
