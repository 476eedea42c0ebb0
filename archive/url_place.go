package archive

import "fmt"

// Place tells the bucket of a store's URL and the prefix below which its keys are
// ("" or with a slash at the end): a store's own events name objects by both. The
// bucket of a file or memory URL is empty. Errors match ErrBadURL.
func Place(rawURL string) (bucket, prefix string, err error) {
	u, err := parseStoreURL(rawURL)
	if err != nil {
		return "", "", fmt.Errorf("place of store: %w", err)
	}
	if u.dir != "" {
		return "", "", nil
	}
	return u.url.Host, u.prefix, nil
}
