package cli

import (
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	ucli "github.com/urfave/cli/v2"

	"github.com/nodedb-go/nodedb/archive"
)

// ArchiveFlag names the stores of an archive.
func ArchiveFlag() ucli.Flag {
	return &ucli.StringSliceFlag{Name: "archive", Usage: "archive `URL` (file:///path, s3://bucket/prefix, gs://, azblob://); may be given several times; ;optional behind one takes it out of the truncation minimum"}
}

// NodeIDFlag names the node in its archive.
func NodeIDFlag(usage string) ucli.Flag {
	return &ucli.StringFlag{Name: "node-id", Usage: usage}
}

// Stores are open stores; Close closes them all.
type Stores []archive.StoreConfig

// Close closes the stores.
func (s Stores) Close() error {
	var errs []error
	for _, c := range s {
		errs = append(errs, c.Store.Close())
	}
	return errors.Join(errs...)
}

// OpenStores opens the stores of --archive; none when the flag is not given.
// It makes no request.
func (c *Call) OpenStores() (Stores, error) { return c.openStores("archive") }

func (c *Call) openStores(flag string) (Stores, error) {
	var stores Stores
	for _, u := range c.storeURLs(flag) {
		s, o, err := archive.OpenStore(c.Context(), u)
		if err != nil {
			return nil, errors.Join(Hint(err, "%s", urlHint(u)), stores.Close())
		}
		stores = append(stores, archive.StoreConfig{Store: s, Optional: o.Optional})
	}
	return stores, nil
}

// urlHint helps who gave a path instead of a URL.
func urlHint(u string) string {
	if abs, err := filepath.Abs(u); err == nil && !strings.Contains(u, "://") {
		return "a directory is named file://" + filepath.ToSlash(abs)
	}
	return "an archive is named like file:///var/backup or s3://bucket/prefix?region=eu-central-1"
}

// ArchiveURLs are the values of --archive, none when the flag is not given.
func (c *Call) ArchiveURLs() []string { return c.storeURLs("archive") }

// nextURL is a comma that ends a URL: one with a scheme behind it.
var nextURL = regexp.MustCompile(`,\s*[a-z][a-z0-9+.-]*://`)

// storeURLs are the values of a flag. One value may hold several URLs, as in
// the environment variable, separated by commas.
func (c *Call) storeURLs(flag string) []string {
	var out []string
	for _, v := range c.flags.StringSlice(flag) {
		for v != "" {
			next := nextURL.FindStringIndex(v)
			if next == nil {
				out = append(out, strings.TrimSpace(v))
				break
			}
			out = append(out, strings.TrimSpace(v[:next[0]]))
			v = v[next[0]+1:]
		}
	}
	return out
}

// OpenArchives opens the archive of one node in every store of --archive,
// which must be given. Without --node-id the node is the only one in the
// stores. Close the stores afterwards.
func (c *Call) OpenArchives() ([]*archive.Archive, Stores, error) {
	return c.OpenArchivesOf("archive")
}

// OpenArchivesOf is OpenArchives for the stores of another flag.
func (c *Call) OpenArchivesOf(flag string) ([]*archive.Archive, Stores, error) {
	stores, err := c.openStores(flag)
	if err != nil {
		return nil, nil, err
	}
	if len(stores) == 0 {
		return nil, nil, Hint(Usagef("no archive given"), "name it with --%s URL or %s", flag, EnvName(flag))
	}
	archives, err := c.archivesIn(stores)
	if err != nil {
		return nil, nil, errors.Join(err, stores.Close())
	}
	return archives, stores, nil
}

func (c *Call) archivesIn(stores Stores) ([]*archive.Archive, error) {
	id := c.String("node-id")
	if id == "" {
		var err error
		if id, err = c.onlyNode(stores); err != nil {
			return nil, err
		}
	}
	ids, err := c.Identities()
	if err != nil {
		return nil, err
	}
	var out []*archive.Archive
	for _, s := range stores {
		a, err := archive.Open(s.Store, id)
		if err != nil {
			return nil, err
		}
		out = append(out, a.WithIdentities(ids))
	}
	return out, nil
}

// onlyNode finds the node whose archive is meant when no id is given.
func (c *Call) onlyNode(stores Stores) (string, error) {
	var found []string
	for _, s := range stores {
		ids, err := archive.Nodes(c.Context(), s.Store)
		if err != nil {
			return "", fmt.Errorf("look for nodes: %w", err)
		}
		for _, id := range ids {
			if !slices.Contains(found, id) {
				found = append(found, id)
			}
		}
	}
	switch len(found) {
	case 0:
		return "", &Error{Code: CodeOutside, Err: fmt.Errorf("no node has an archive in %s", stores[0].Store.URL()),
			Hint: "check the URL, prefix included"}
	case 1:
		return found[0], nil
	}
	return "", Hint(Usagef("%d nodes have an archive here", len(found)), "choose one with --node-id: %s", strings.Join(found, ", "))
}

// CheckNode says which nodes there are when an archive turns out to be empty,
// so that a wrong --node-id does not look like lost data.
func (c *Call) CheckNode(a *archive.Archive) error {
	ids, err := archive.Nodes(c.Context(), a.Store())
	if err != nil {
		return fmt.Errorf("look for nodes: %w", err)
	}
	if slices.Contains(ids, a.NodeID()) {
		return nil
	}
	e := &Error{Code: CodeOutside, Err: fmt.Errorf("node %s has no archive in %s", a.NodeID(), a.Store().URL())}
	switch {
	case len(ids) == 0:
		e.Hint = "no node has; check the URL, prefix included"
	case nearest(a.NodeID(), ids) != "":
		e.Hint = "did you mean " + nearest(a.NodeID(), ids) + "?"
	default:
		e.Hint = "nodes there: " + strings.Join(ids, ", ")
	}
	return e
}
