package resp

import (
	"strconv"
	"strings"

	"github.com/nodedb-go/nodedb/internal/trace"
)

// traced begins the span of a request; nil for most. cmd is nil when there is no
// such command.
func (c *conn) traced(cmd *command) *trace.Request {
	span := c.s.opts.Trace.Request()
	if span == nil {
		return nil
	}
	if cmd != nil {
		span.Command, _, _ = strings.Cut(cmd.name, " ") // GET key AT is a GET
	}
	if c.user != nil {
		span.Namespace = strconv.FormatUint(uint64(c.ten), 10)
	}
	return span
}

// failed notes the code of an error. The text behind it may show what the client
// sent.
func failed(span *trace.Request, err error) {
	if span == nil || err == nil {
		return
	}
	code, _, _ := strings.Cut(errorText(err), " ")
	if strings.Trim(code, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != "" {
		code = "ERR"
	}
	span.Code = code
}
