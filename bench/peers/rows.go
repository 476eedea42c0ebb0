package main

import (
	"bufio"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
)

// writeRows writes the same changes for both sides: half as many keys as
// changes, in random order, each with 128 random hex digits; as JSON Lines, and
// as SQL behind head, in transactions of 1,000.
func writeRows(jsonl, sql, head string, changes int) error {
	j, err := os.Create(jsonl)
	if err != nil {
		return err
	}
	s, err := os.Create(sql)
	if err != nil {
		return errors.Join(err, j.Close())
	}
	jw, sw := bufio.NewWriter(j), bufio.NewWriter(s)
	fmt.Fprintln(sw, head)
	rnd := rand.New(rand.NewPCG(1, 2))
	for i := range changes {
		if i%1000 == 0 {
			fmt.Fprintln(sw, "begin;")
		}
		key, value := fmt.Sprintf("user%012d", rnd.IntN(max(changes/2, 1))), ""
		for range 8 {
			value += fmt.Sprintf("%016x", rnd.Uint64())
		}
		fmt.Fprintf(jw, "{\"key\":%q,\"value\":%q}\n", key, value)
		fmt.Fprintf(sw, "insert into kv values('%s','%s') on conflict(k) do update set v=excluded.v;\n", key, value)
		if i%1000 == 999 || i == changes-1 {
			fmt.Fprintln(sw, "commit;")
		}
	}
	return errors.Join(jw.Flush(), sw.Flush(), j.Close(), s.Close())
}
