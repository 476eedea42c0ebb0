package tpc

const (
	maintainLook  = 64 // iterations of a busy core between two looks at the clock
	maintainShare = 9  // a busy core works that many times as long as it maintains
)

// maintain calls the driver's Maintain when it is due, and reports whether there
// is more of it. A busy core pauses between two slices; an idle one does not.
func (c *Core) maintain(busy bool) (more bool) {
	if c.opts.MaintainInterval < 0 {
		return false
	}
	begin := c.opts.Clock()
	if begin.Before(c.maintainAt) {
		return false
	}
	more = c.maintainDriver()
	bump(&c.counters.maintains, 1)
	end := c.opts.Clock()
	switch {
	case !more:
		c.maintainAt = end.Add(c.opts.MaintainInterval)
	case busy:
		c.maintainAt = end.Add(maintainShare * end.Sub(begin))
	default:
		c.maintainAt = end
	}
	return more
}
