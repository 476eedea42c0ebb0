// Command pack puts one program into a zip file as the functions of AWS Lambda
// are deployed: named bootstrap, with a fixed time and mode, so that the same
// program always gives the same bytes.
//
//	pack PROGRAM ZIP
package main

import (
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"time"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: pack PROGRAM ZIP")
		os.Exit(2)
	}
	if err := packFile(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, "pack:", err)
		os.Exit(1)
	}
}

func packFile(program, name string) error {
	data, err := os.ReadFile(program)
	if err != nil {
		return err
	}
	var out bytes.Buffer
	if err := pack(&out, data); err != nil {
		return err
	}
	return os.WriteFile(name, out.Bytes(), 0o644)
}

// pack writes the zip file. Nothing in it depends on when, where or by whom it is
// made.
func pack(dst io.Writer, program []byte) error {
	z := zip.NewWriter(dst)
	h := &zip.FileHeader{Name: "bootstrap", Method: zip.Deflate, Modified: time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC)}
	h.SetMode(0o755)
	w, err := z.CreateHeader(h)
	if err != nil {
		return err
	}
	_, err = w.Write(program)
	return errors.Join(err, z.Close())
}
