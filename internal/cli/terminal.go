package cli

import (
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// pipeWidth is how wide drawings are where no terminal says otherwise.
const pipeWidth = 80

// Terminal tells how wide drawings on standard output may be, and whether it is
// a terminal that shows more than ASCII. Output into a pipe or a file is plain.
func (c *Call) Terminal() (columns int, blocks bool) {
	f, ok := c.Stdout.(*os.File)
	if !ok || !IsTerminal(f) {
		return pipeWidth, false
	}
	size, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ)
	if err != nil || size.Col == 0 {
		return pipeWidth, utf8Locale()
	}
	return int(size.Col), utf8Locale()
}

// utf8Locale follows the order of setlocale(3).
func utf8Locale() bool {
	for _, name := range []string{"LC_ALL", "LC_CTYPE", "LANG"} {
		if v := os.Getenv(name); v != "" {
			v = strings.ToLower(v)
			return strings.Contains(v, "utf-8") || strings.Contains(v, "utf8")
		}
	}
	return false
}
