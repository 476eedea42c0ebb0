package lint

// commands are the directories where flags, environment, terminals and files
// belong. internal/cli is the body of cmd/; internal/servertest runs a server
// for tests, in a module of its own.
var commands = []string{"cmd", "lambda", "internal/cli", "internal/servertest", "bench"}

// fileCallers may call package os for files, with the reason.
var fileCallers = map[string]string{
	"archive/file":     "the file:// store needs link(2) and its errors, which no file system interface has",
	"internal/lint":    "reads the source tree",
	"internal/loadfmt": "walks the directory tree that a user loads",
}
