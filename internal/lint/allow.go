package lint

// commands are the directories where flags, environment, terminals and files
// belong. internal/cli is the body of cmd/.
var commands = []string{"cmd", "lambda", "internal/cli", "bench"}

// fileCallers may call package os for files, with the reason.
var fileCallers = map[string]string{
	"archive/filestore": "the file:// store needs link(2) and its errors, which no file system interface has",
	"internal/lint":     "reads the source tree",
	"internal/loadfmt":  "walks the directory tree that a user loads",
}
