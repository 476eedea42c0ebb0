package redistest

import (
	"context"
	"fmt"
	"testing"

	"github.com/redis/rueidis"

	"github.com/nodedb-go/nodedb/internal/resp"
)

// rueidis sends everything through one pipelined connection; its cache needs
// CLIENT TRACKING, which is not there, so it is off.
func TestRueidis(t *testing.T) {
	for _, old := range []bool{true, false} {
		t.Run(fmt.Sprint("RESP2=", old), func(t *testing.T) {
			l := loopback(t)
			serve(t, resp.Options{Users: resp.Password("secret")}, l)
			c, err := rueidis.NewClient(rueidis.ClientOption{InitAddress: []string{l.Addr().String()}, Password: "secret", ClientName: "r",
				DisableCache: true, AlwaysRESP2: old, ForceSingleClient: true})
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			ctx := t.Context()
			var cmds rueidis.Commands
			const many = 500
			for i := range many {
				k := fmt.Sprint("k", i)
				cmds = append(cmds, c.B().Set().Key(k).Value(k).ExSeconds(100).Build(), c.B().Get().Key(k).Build())
			}
			for i, r := range c.DoMulti(ctx, cmds...) {
				want := "OK"
				if i%2 == 1 {
					want = fmt.Sprint("k", i/2)
				}
				if got, err := r.ToString(); got != want || err != nil {
					t.Fatalf("answer %d: %q, %v; want %q", i, got, err, want)
				}
			}
			if _, err := c.Do(ctx, c.B().Get().Key("none").Build()).ToString(); !rueidis.IsRedisNil(err) {
				t.Errorf("GET of nothing: %v", err)
			}
			rueidisTransaction(t, c)
			rueidisScan(t, c, many)
		})
	}
}

func rueidisTransaction(t *testing.T, c rueidis.Client) {
	t.Helper()
	err := c.Dedicated(func(d rueidis.DedicatedClient) error {
		return transact(t.Context(), d)
	})
	if err != nil {
		t.Error(err)
	}
	if n, err := c.Do(t.Context(), c.B().Get().Key("{x}n").Build()).AsInt64(); n != 2 || err != nil {
		t.Errorf("n = %d, %v; want 2", n, err)
	}
}

func transact(ctx context.Context, d rueidis.DedicatedClient) error {
	all := d.DoMulti(ctx, d.B().Watch().Key("{x}n").Build(), d.B().Multi().Build(), d.B().Incr().Key("{x}n").Build(),
		d.B().Incr().Key("{x}n").Build(), d.B().Exec().Build())
	for _, r := range all {
		if err := r.Error(); err != nil {
			return err
		}
	}
	answers, err := all[len(all)-1].AsIntSlice()
	if err == nil && (len(answers) != 2 || answers[1] != 2) {
		err = fmt.Errorf("EXEC: %v", answers)
	}
	return err
}

func rueidisScan(t *testing.T, c rueidis.Client, want int) {
	t.Helper()
	seen := make(map[string]bool)
	for at := uint64(0); ; {
		e, err := c.Do(t.Context(), c.B().Scan().Cursor(at).Match("k*").Count(37).Build()).AsScanEntry()
		if err != nil {
			t.Fatal(err)
		}
		for _, k := range e.Elements {
			seen[k] = true
		}
		if at = e.Cursor; at == 0 {
			break
		}
	}
	if len(seen) != want {
		t.Errorf("SCAN: %d keys, want %d", len(seen), want)
	}
}
