package resp

// backupNow writes a base backup to the archive of the node.
func backupNow(c *conn, _ [][]byte, out *reply) error {
	b, err := c.s.opts.Node.Backup(c.ctx)
	if err != nil {
		return err
	}
	return out.json(b.Summary())
}
