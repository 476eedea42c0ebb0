package main

import (
	"os"

	"github.com/nodedb-go/nodedb/internal/cli"
)

// wait serves until a signal asks to stop or a listener breaks, whose error it
// returns. Each hangup reloads what can be.
func (r *redisServer) wait(c *cli.Call, hangups <-chan os.Signal) error {
	for {
		select {
		case <-c.Context().Done():
			return nil
		case err := <-r.failed:
			return err
		case <-hangups:
			tellManager(c, reloading())
			r.reload(c)
			tellManager(c, "READY=1")
		}
	}
}

// reload reads the files again that say who may come in, and the log level. What
// cannot be read stays as it is. Clients keep what they are until they come again.
func (r *redisServer) reload(c *cli.Call) {
	keeps := func(what string, err error) {
		c.Log.Error("reload failed, the old stays", "what", what, "err", err)
	}
	if r.certs != nil {
		if err := r.certs.load(); err != nil {
			keeps("certificate", err)
		} else {
			c.Log.Info("reloaded", "certificate", r.certs.cert)
		}
	}
	if file := c.String("users") + c.String("password-file"); file != "" { // one of the two
		if users, err := loadUsers(c); err != nil {
			keeps("users", err)
		} else {
			r.users.Replace(users)
			c.Log.Info("reloaded", "users", file)
		}
	}
	level, err := c.ReloadLogLevel()
	if err != nil {
		keeps("log level", err)
		return
	}
	c.Log.Log(c.Context(), max(level, 0), "reloaded", "log_level", level) // shown at every level
}
