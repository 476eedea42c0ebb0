package main

import (
	"fmt"
	"net"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/nodedb-go/nodedb/internal/cli"
)

// tellManager tells systemd what serve does, when it was started by it with
// Type=notify or notify-reload; see sd_notify(3). A manager that does not listen is
// no reason to stop.
func tellManager(c *cli.Call, state string) {
	path := os.Getenv("NOTIFY_SOCKET")
	if path == "" {
		return
	}
	if name, abstract := strings.CutPrefix(path, "@"); abstract {
		path = "\x00" + name
	}
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: path, Net: "unixgram"})
	if err == nil {
		_, err = conn.Write([]byte(state))
		_ = conn.Close() // the datagram is sent, or the error is known
	}
	if err != nil {
		c.Log.Warn("cannot tell the service manager", "state", state, "err", err)
	}
}

// reloading is the state of a reload; the manager takes the next READY=1 for its end
// only if that comes later.
func reloading() string {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		return "RELOADING=1"
	}
	return fmt.Sprintf("RELOADING=1\nMONOTONIC_USEC=%d", now.Nano()/1000)
}
