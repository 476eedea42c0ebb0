package redistest

import (
	"crypto/tls"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"

	"github.com/nodedb-go/nodedb/internal/resp"
)

func goRedis(t *testing.T, o redis.Options) *redis.Client {
	t.Helper()
	c := redis.NewClient(&o)
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// What go-redis does with a server, in both versions of the protocol.
func TestGoRedis(t *testing.T) {
	for _, proto := range []int{2, 3} {
		t.Run(fmt.Sprint("RESP", proto), func(t *testing.T) {
			l := loopback(t)
			serve(t, resp.Options{}, l)
			c := goRedis(t, redis.Options{Addr: l.Addr().String(), Protocol: proto, ClientName: "shop-window", IdentitySuffix: "test"})
			ctx := t.Context()
			if got, err := c.Ping(ctx).Result(); got != "PONG" || err != nil {
				t.Fatalf("PING: %q, %v", got, err)
			}
			if got, err := c.ClientGetName(ctx).Result(); got != "shop-window" || err != nil {
				t.Errorf("CLIENT GETNAME: %q, %v", got, err)
			}
			hello, err := c.Do(ctx, "HELLO", proto).Result()
			if err != nil {
				t.Errorf("HELLO: %T, %v", hello, err)
			}
			goRedisStrings(t, c)
			goRedisPipeline(t, c)
			goRedisScan(t, c)
		})
	}
}

func goRedisStrings(t *testing.T, c *redis.Client) {
	t.Helper()
	ctx := t.Context()
	if err := c.Set(ctx, "k", "v\x00\r\n", time.Minute).Err(); err != nil {
		t.Error(err)
	}
	if got, err := c.Get(ctx, "k").Result(); got != "v\x00\r\n" || err != nil {
		t.Errorf("GET: %q, %v", got, err)
	}
	if ttl, err := c.TTL(ctx, "k").Result(); ttl <= 0 || ttl > time.Minute || err != nil {
		t.Errorf("TTL: %v, %v", ttl, err)
	}
	if _, err := c.Get(ctx, "none").Result(); !errors.Is(err, redis.Nil) {
		t.Errorf("GET of nothing: %v, want redis.Nil", err)
	}
	if ok, err := c.SetNX(ctx, "k", "w", 0).Result(); ok || err != nil {
		t.Errorf("SETNX of what is there: %v, %v", ok, err)
	}
	if n, err := c.IncrByFloat(ctx, "f", 2.5).Result(); n != 2.5 || err != nil {
		t.Errorf("INCRBYFLOAT: %v, %v", n, err)
	}
	if err := c.MSet(ctx, "m1", 1, "m2", 2).Err(); err != nil {
		t.Error(err)
	}
	got, err := c.MGet(ctx, "m1", "none", "m2").Result()
	if diff := cmp.Diff([]any{"1", nil, "2"}, got); diff != "" || err != nil {
		t.Errorf("MGET (-want +got):\n%s%v", diff, err)
	}
	if n, err := c.Del(ctx, "m1", "m2", "none").Result(); n != 2 || err != nil {
		t.Errorf("DEL: %d, %v", n, err)
	}
	if err := c.Incr(ctx, "k").Err(); err == nil || err.Error() != "ERR value is not an integer or out of range" {
		t.Errorf("INCR of text: %v", err)
	}
	if info, err := c.Info(ctx, "server").Result(); err != nil || info == "" {
		t.Errorf("INFO: %q, %v", info, err)
	}
	if all, err := c.Command(ctx).Result(); err != nil || all["get"] == nil || !all["get"].ReadOnly {
		t.Errorf("COMMAND tells nothing of GET: %v, %v", all["get"], err)
	}
}

func goRedisPipeline(t *testing.T, c *redis.Client) {
	t.Helper()
	const many = 3000
	ctx := t.Context()
	cmds, err := c.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i := range many {
			p.Set(ctx, fmt.Sprint("p", i%50), i, 0)
			p.Get(ctx, fmt.Sprint("p", i%50))
			p.Incr(ctx, "sum")
		}
		return nil
	})
	if err != nil || len(cmds) != 3*many {
		t.Fatalf("%d answers, %v", len(cmds), err)
	}
	for i := range many {
		if got := cmds[3*i+1].(*redis.StringCmd).Val(); got != fmt.Sprint(i) {
			t.Fatalf("answer %d of a GET behind a SET: %q", i, got)
		}
		if got := cmds[3*i+2].(*redis.IntCmd).Val(); got != int64(i+1) {
			t.Fatalf("answer %d of INCR: %d", i, got)
		}
	}
}

func goRedisScan(t *testing.T, c *redis.Client) {
	t.Helper()
	ctx := t.Context()
	var want, got []string
	for i := range 300 {
		want = append(want, fmt.Sprintf("scan:%03d", i))
	}
	if _, err := c.Pipelined(ctx, func(p redis.Pipeliner) error {
		for _, k := range want {
			p.Set(ctx, k, 1, 0)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	it := c.Scan(ctx, 0, "scan:*", 20).Iterator()
	for it.Next(ctx) {
		got = append(got, it.Val())
	}
	slices.Sort(got)
	if diff := cmp.Diff(want, slices.Compact(got)); diff != "" || it.Err() != nil {
		t.Errorf("SCAN (-want +got):\n%s%v", diff, it.Err())
	}
}

// Optimistic transactions of many clients: every increment is there once.
func TestGoRedis_Watch(t *testing.T) {
	const clients, each = 4, 20
	l := loopback(t)
	serve(t, resp.Options{}, l)
	c := goRedis(t, redis.Options{Addr: l.Addr().String()})
	ctx := t.Context()
	add := func(tx *redis.Tx) error {
		n, err := tx.Get(ctx, "{a}n").Int()
		if err != nil && !errors.Is(err, redis.Nil) {
			return err
		}
		_, err = tx.TxPipelined(ctx, func(p redis.Pipeliner) error {
			p.Set(ctx, "{a}n", n+1, 0)
			p.Incr(ctx, "{a}all")
			return nil
		})
		return err
	}
	var wg sync.WaitGroup
	for range clients {
		wg.Go(func() {
			for done := 0; done < each; {
				switch err := c.Watch(ctx, add, "{a}n"); {
				case err == nil:
					done++
				case !errors.Is(err, redis.TxFailedErr):
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	for _, k := range []string{"{a}n", "{a}all"} {
		if n, err := c.Get(ctx, k).Int(); n != clients*each || err != nil {
			t.Errorf("%s = %d, %v; want %d", k, n, err, clients*each)
		}
	}
}

// A user with tenants over TLS, and the same data through a Unix socket.
func TestGoRedis_UserTLSUnix(t *testing.T) {
	users, err := resp.ParseUsers([]byte("user alice on >secret tenants=7,8 +read +write\nuser eve on >eve tenants=9 +read\n"))
	if err != nil {
		t.Fatal(err)
	}
	cert, pool := certificate(t)
	tcp := loopback(t)
	path := filepath.Join(t.TempDir(), "s")
	n := serve(t, resp.Options{Users: users}, tls.NewListener(tcp, &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}), listen(t, "unix", path))
	ctx := t.Context()
	secure := redis.Options{Addr: tcp.Addr().String(), Username: "alice", Password: "secret", TLSConfig: &tls.Config{RootCAs: pool, ServerName: "localhost"}, MaxRetries: -1}
	if err := goRedis(t, secure).Set(ctx, "k", "v", 0).Err(); err != nil {
		t.Fatal(err)
	}
	if v, err := n.Tenant(7).Get(ctx, []byte("k")); string(v) != "v" || err != nil {
		t.Errorf("tenant 7 has %q, %v", v, err)
	}
	unix := redis.Options{Network: "unix", Addr: path, Username: "alice", Password: "secret", MaxRetries: -1, DB: 8}
	if _, err := goRedis(t, unix).Get(ctx, "k").Result(); !errors.Is(err, redis.Nil) {
		t.Errorf("tenant 8: %v, want nothing", err)
	}
	unix.DB = 7
	if v, err := goRedis(t, unix).Get(ctx, "k").Result(); v != "v" || err != nil {
		t.Errorf("through the socket: %q, %v", v, err)
	}
	for name, o := range map[string]redis.Options{
		"wrong password":   {Network: "unix", Addr: path, Username: "alice", Password: "guess"},
		"no password":      {Network: "unix", Addr: path},
		"another's tenant": {Network: "unix", Addr: path, Username: "alice", Password: "secret", DB: 9},
		"only reads":       {Network: "unix", Addr: path, Username: "eve", Password: "eve"},
		"plain on TLS":     {Addr: secure.Addr, Username: "alice", Password: "secret"},
		"unknown issuer":   {Addr: secure.Addr, Username: "alice", Password: "secret", TLSConfig: &tls.Config{ServerName: "localhost"}},
	} {
		o.MaxRetries, o.DialerRetries = -1, 1
		if err := goRedis(t, o).Set(ctx, "k", "evil", 0).Err(); err == nil {
			t.Errorf("%s: SET is accepted", name)
		}
	}
}
