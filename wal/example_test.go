package wal_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/nodedb-go/nodedb/wal"
)

func Example() {
	dir, err := os.MkdirTemp("", "wal")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)

	log, err := wal.Open(dir, &wal.Options{NodeID: "node-1"})
	if err != nil {
		panic(err)
	}
	defer log.Close()

	const typePut = 64 | wal.RequiredBit
	var batch wal.Batch
	for _, p := range []string{"a=1", "b=2"} {
		if err := batch.Add(typePut, 0, 7, nil, []byte(p)); err != nil {
			panic(err)
		}
	}
	first, _, err := log.AppendSync(context.Background(), &batch)
	if err != nil {
		panic(err)
	}
	fmt.Println("first LSN", first, "durable", log.Durable())

	r := log.NewReader(1)
	defer r.Close()
	for {
		rec, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			panic(err)
		}
		fmt.Println(rec.LSN, rec.Type, "vshard", rec.VShard, string(rec.Payload))
	}
	// Output:
	// first LSN 1 durable 2
	// 1 64! vshard 7 a=1
	// 2 64! vshard 7 b=2
}
