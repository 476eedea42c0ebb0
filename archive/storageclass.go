package archive

import (
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// StorageClass is how a store calls the kind of storage that an object is in:
// "STANDARD", "GLACIER", "COLDLINE", "Archive". It is empty when the store has
// no kinds or does not tell.
type StorageClass string

// thawedSuffix marks a cold object of which the store holds a readable copy
// for some days.
const thawedSuffix = " (thawed)"

// Cold tells whether the object must be thawed before it can be read, which
// takes hours; see [Thawer].
func (c StorageClass) Cold() bool {
	switch c {
	case "GLACIER", "DEEP_ARCHIVE", "Archive": // S3, S3, Azure
		return true
	}
	return false
}

// Costly tells whether reading the object costs a fee for each byte.
func (c StorageClass) Costly() bool {
	switch strings.ToUpper(string(c.Kind())) {
	case "", "STANDARD", "HOT", "REDUCED_REDUNDANCY", "INTELLIGENT_TIERING", "EXPRESS_ONEZONE", "OUTPOSTS":
		return false
	}
	return true
}

// ClassReader asks an answer of a driver, by the answer's As, which class an
// object has; "" when the answer is not of its driver.
type ClassReader func(as func(any) bool) StorageClass

// classReaders are tried in turn. A driver is linked by commands only, so what
// its answers look like comes from there too: RegisterClassReader.
var classReaders = []ClassReader{s3Class}

// RegisterClassReader makes the classes of one more driver known. It is called
// before any store is opened.
func RegisterClassReader(r ClassReader) { classReaders = append(classReaders, r) }

func classOf(as func(any) bool) StorageClass {
	for _, read := range classReaders {
		if c := read(as); c != "" {
			return c
		}
	}
	return ""
}

func s3Class(as func(any) bool) StorageClass {
	var listed types.Object
	if as(&listed) {
		return StorageClass(listed.StorageClass)
	}
	var head s3.HeadObjectOutput
	if !as(&head) {
		return ""
	}
	c := StorageClass(head.StorageClass) // S3 says nothing of STANDARD here
	if c.Cold() && head.Restore != nil && strings.Contains(*head.Restore, `ongoing-request="false"`) {
		c += thawedSuffix
	}
	return c
}
