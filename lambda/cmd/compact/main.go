// Command compact is the function that merges small segments and small indexes by a
// schedule: the handler of lambda/compact on the runtime API of AWS Lambda,
// configured by its environment.
package main

import (
	"context"
	"log/slog"
	"os"

	"github.com/aws/aws-lambda-go/lambda"
	_ "gocloud.dev/blob/s3blob"    // the archive
	_ "gocloud.dev/secrets/awskms" // what wrapped an identity file

	"github.com/nodedb-go/nodedb/lambda/compact"
)

func main() {
	h, err := compact.Configure(context.Background(), os.Getenv, os.Stdout)
	if err != nil {
		slog.New(slog.NewJSONHandler(os.Stdout, nil)).Error("function cannot start", "error", err.Error())
		os.Exit(1)
	}
	lambda.Start(h.Handle)
}
