package resp

import (
	"strings"
)

func expiryCommands() []command {
	expire := func(unit int64, fromNow bool) func(c *call) error {
		return func(c *call) error { return expireKey(c, unit, fromNow) }
	}
	left := func(unit int64, fromNow bool) func(c *call) error {
		return func(c *call) error { return timeLeft(c, unit, fromNow) }
	}
	return []command{
		{name: "expire", arity: -3, where: forWrite, keys: oneKey, run: expire(1000, true)},
		{name: "pexpire", arity: -3, where: forWrite, keys: oneKey, run: expire(1, true)},
		{name: "expireat", arity: -3, where: forWrite, keys: oneKey, run: expire(1000, false)},
		{name: "pexpireat", arity: -3, where: forWrite, keys: oneKey, run: expire(1, false)},
		{name: "ttl", arity: 2, where: forRead, keys: oneKey, run: left(1000, true)},
		{name: "pttl", arity: 2, where: forRead, keys: oneKey, run: left(1, true)},
		{name: "expiretime", arity: 2, where: forRead, keys: oneKey, run: left(1000, false)},
		{name: "pexpiretime", arity: 2, where: forRead, keys: oneKey, run: left(1, false)},
		{name: "persist", arity: 2, where: forWrite, keys: oneKey, run: persist},
	}
}

// expireCondition are the options of the EXPIRE family.
type expireCondition struct{ nx, xx, gt, lt bool }

func (o *expireCondition) parse(args [][]byte) error {
	for _, a := range args {
		switch strings.ToUpper(string(a)) {
		case "NX":
			o.nx = true
		case "XX":
			o.xx = true
		case "GT":
			o.gt = true
		case "LT":
			o.lt = true
		default:
			return redisError("ERR Unsupported option " + string(a))
		}
	}
	if o.nx && (o.xx || o.gt || o.lt) {
		return redisError("ERR NX and XX, GT or LT options at the same time are not compatible")
	}
	if o.gt && o.lt {
		return redisError("ERR GT and LT options at the same time are not compatible")
	}
	return nil
}

// allows compares with the expiry that a key has; none is later than any.
func (o *expireCondition) allows(was, at int64) bool {
	switch {
	case o.nx && was != 0, o.xx && was == 0:
		return false
	case o.gt && (was == 0 || at <= was), o.lt && was != 0 && at >= was:
		return false
	}
	return true
}

func expireKey(c *call, unit int64, fromNow bool) error {
	var o expireCondition
	if err := o.parse(c.args[3:]); err != nil {
		return err
	}
	n, err := integers(c.args[2])
	if err != nil {
		return err
	}
	invalid := redisError("ERR invalid expire time in '" + c.name() + "' command")
	at := n[0]
	if unit > 1 {
		if at > (1<<63-1)/unit || at < (-1<<63)/unit {
			return invalid
		}
		at *= unit
	}
	if fromNow {
		if at > 1<<63-1-c.now {
			return invalid
		}
		at += c.now
	}
	e, err := load(c.v, c.args[1])
	if err != nil {
		return err
	}
	done := e.exists && o.allows(e.expireAt, at)
	c.out.bool(done)
	switch {
	case !done:
		return nil
	case at <= c.now:
		return c.v.Delete(c.args[1])
	}
	return keepUntil(c, at)
}

// keepUntil sets the expiry of a key that is there.
func keepUntil(c *call, at int64) error {
	e, err := c.v.Get(c.args[1])
	if err != nil || e.ExpireAt == at {
		return err
	}
	return c.v.PutMillis(c.args[1], e.Value, at)
}

func persist(c *call) error {
	e, err := load(c.v, c.args[1])
	if err != nil {
		return err
	}
	done := e.exists && e.expireAt != 0
	c.out.bool(done)
	if !done {
		return nil
	}
	return keepUntil(c, 0)
}

func timeLeft(c *call, unit int64, fromNow bool) error {
	e, err := load(c.v, c.args[1])
	if err != nil {
		return err
	}
	switch {
	case !e.exists:
		c.out.int(-2)
	case e.expireAt == 0:
		c.out.int(-1)
	case fromNow:
		c.out.int((max(e.expireAt-c.now, 0) + unit/2) / unit)
	default:
		c.out.int((e.expireAt + unit/2) / unit)
	}
	return nil
}
