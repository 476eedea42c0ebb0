// Package admin serves what people and machines need to look after a running node:
// health, metrics, a JSON API, a live stream, profiles, and a web page.
//
// # Who may what
//
//	                     no token configured          with a token
//	/livez /readyz       everybody                    everybody
//	page and its files   this machine                 everybody: they hold nothing of the node
//	reads                this machine                 who has the token
//	changes, profiles    nobody (401)                 who has the token
//
// "This machine" is a request over loopback, without a sign of a proxy, whose Host
// header is a loopback name: a web page of a stranger whose name was made to resolve
// to 127.0.0.1 sends its own name there. A change needs the token in a header, which
// no foreign page can add, so that there is no cookie to ride on.
//
// Paths are compared whole. Nothing is cleaned, decoded twice or redirected: what is
// not in the table does not exist.
//
// # What it costs
//
// Nothing when nobody asks. A scrape reads the node's counters. The history of the
// archive takes requests to the stores; it is read in the background when somebody
// looked at it after the archive had moved, and not more often than once a minute.
package admin
