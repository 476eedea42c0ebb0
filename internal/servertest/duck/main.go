// Command duck prints the rows of Parquet files as DuckDB reads them, one JSON
// object a line, sorted as an index of segments is. It is a module of its own,
// since DuckDB is a large library in C++: the tests of indexes run it as a program.
package main

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"os"
	"strings"

	_ "github.com/duckdb/duckdb-go/v2"
)

// row is one row; nil is null. Bytes are in hex, times in µs and ms since 1970.
type row struct {
	Tenant      int64   `json:"tenant"`
	Key         string  `json:"key"`
	LSN         int64   `json:"lsn"`
	Part        int32   `json:"part"`
	Time        int64   `json:"time"`
	Timeline    int64   `json:"timeline"`
	Epoch       int64   `json:"epoch"`
	VShard      int32   `json:"vshard"`
	Type        int32   `json:"type"`
	Op          string  `json:"op"`
	ValueSize   int64   `json:"value_size"`
	ValueSHA256 *string `json:"value_sha256"`
	Expires     *int64  `json:"expires"`
	Offset      int64   `json:"offset"`
}

const query = `SELECT tenant, hex(key), lsn, part, epoch_us("time"), timeline, epoch, vshard, "type", op,
	value_size, hex(value_sha256), epoch_ms(expires), "offset"
FROM read_parquet([%s]) ORDER BY tenant, key, lsn, part`

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "duck:", err)
		os.Exit(1)
	}
}

func run(files []string) error {
	db, err := sql.Open("duckdb", "")
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	var quoted []string
	for _, f := range files {
		quoted = append(quoted, "'"+strings.ReplaceAll(f, "'", "''")+"'")
	}
	rows, err := db.Query(fmt.Sprintf(query, strings.Join(quoted, ", ")))
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	out := json.NewEncoder(os.Stdout)
	for rows.Next() {
		var r row
		if err := rows.Scan(&r.Tenant, &r.Key, &r.LSN, &r.Part, &r.Time, &r.Timeline, &r.Epoch, &r.VShard, &r.Type, &r.Op,
			&r.ValueSize, &r.ValueSHA256, &r.Expires, &r.Offset); err != nil {
			return err
		}
		if err := out.Encode(r); err != nil {
			return err
		}
	}
	return rows.Err()
}
