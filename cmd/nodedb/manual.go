package main

import (
	"io"

	"github.com/nodedb-go/nodedb/internal/cli"
)

// manualVerb prints the manual page that packages install.
func manualVerb() *cli.Verb {
	return &cli.Verb{
		Name: "manual", Hidden: true, Usage: "print the manual page, for man(1)",
		Run: func(c *cli.Call) error {
			page := newApp().Manual()
			return c.Answer(map[string]string{"page": page}, func(w io.Writer) error {
				_, err := io.WriteString(w, page)
				return err
			})
		},
	}
}
