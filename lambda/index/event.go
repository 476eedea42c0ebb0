package index

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
)

// Change is what an event says of one object.
type Change struct {
	Bucket  string // empty: of no matter
	Key     string // whole, and plain
	Size    int64
	Created bool
}

// EventBytesMax is the size of the largest event that is read.
const EventBytesMax = 1 << 20

const bodyRecordsMax = 1024

// body has the fields of every form of message.
type body struct {
	Event   string // s3:TestEvent
	Records []struct {
		EventName string `json:"eventName"`
		S3        struct {
			Bucket struct{ Name string }
			Object eventObject
		} `json:"s3"`
	}
	DetailType string `json:"detail-type"`
	Source     string `json:"source"`
	Detail     struct {
		Bucket struct{ Name string }
		Object eventObject
	} `json:"detail"`
}

type eventObject struct {
	Key  string
	Size int64
}

var errNoEvent = errors.New("it is no event of a store")

// decodeBody reads a message; none for a test event.
func decodeBody(text string) ([]Change, error) {
	if len(text) > EventBytesMax {
		return nil, fmt.Errorf("it has %d bytes, at most %d are read", len(text), EventBytesMax)
	}
	var b body
	if err := json.Unmarshal([]byte(text), &b); err != nil {
		return nil, fmt.Errorf("%w: %w", errNoEvent, err)
	}
	switch {
	case b.Event == "s3:TestEvent":
		return nil, nil
	case b.Source == "aws.s3" && b.Detail.Object.Key != "":
		d := &b.Detail
		return []Change{{d.Bucket.Name, d.Object.Key, d.Object.Size, b.DetailType == "Object Created"}}, nil
	case len(b.Records) == 0:
		return nil, errNoEvent
	case len(b.Records) > bodyRecordsMax:
		return nil, fmt.Errorf("it has %d records, at most %d are read", len(b.Records), bodyRecordsMax)
	}
	var out []Change
	for _, r := range b.Records {
		key, err := url.QueryUnescape(r.S3.Object.Key)
		if err != nil || key == "" {
			return nil, fmt.Errorf("%w: its key %.200q cannot be unescaped", errNoEvent, r.S3.Object.Key)
		}
		name := strings.TrimPrefix(r.EventName, "s3:")
		out = append(out, Change{r.S3.Bucket.Name, key, r.S3.Object.Size, strings.HasPrefix(name, "ObjectCreated:")})
	}
	return out, nil
}
