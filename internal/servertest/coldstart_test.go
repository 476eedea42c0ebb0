package servertest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/url"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"github.com/nodedb-go/nodedb/archive"
)

// BenchmarkColdStart starts the built index function and has it index one small
// segment: from the start of the process to the response to its first event.
func BenchmarkColdStart(b *testing.B) {
	name := bucket(b)
	s := open(b, storeURL(name, ""))
	n := openNode(b, b.TempDir(), s)
	record{}.write(b, n, rand.New(rand.NewPCG(1, 2)))
	shutDown(b, n)
	a, err := archive.Open(s, "n1")
	if err != nil {
		b.Fatal(err)
	}
	body := fmt.Sprintf(`{"Records":[{"eventName":"s3:ObjectCreated:Put","s3":{"bucket":{"name":%q},"object":{"key":%q}}}]}`,
		name, url.QueryEscape(names(b, a, "wal/")[0]))
	event := events.SQSEvent{Records: []events.SQSMessage{{MessageId: "m", Body: body}}}
	path := built(b, "index")
	for b.Loop() {
		f := startFunction(b, path, "NODEDB_ARCHIVE="+storeURL(name, ""))
		var answer events.SQSEventResponse
		f.invoke(b, &event, &answer)
		b.StopTimer()
		f.end()
		made := names(b, a, "index/")
		if len(answer.BatchItemFailures) > 0 || len(made) != 1 {
			b.Fatalf("%d indexes\n%s", len(made), f.log())
		}
		if err := s.Delete(context.Background(), made[0]); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
	}
	b.ReportMetric(float64(b.Elapsed())/float64(b.N)/float64(time.Millisecond), "ms/start")
}
