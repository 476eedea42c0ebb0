package main

import (
	"crypto/md5"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/aws/aws-lambda-go/events"
	"github.com/google/go-cmp/cmp"
)

// sent is what SQS is asked to send.
type sent struct {
	QueueURL          string `json:"QueueUrl"`
	MessageBody       string
	MessageAttributes map[string]struct{ DataType, StringValue string }
}

// sqsServer speaks as much of SQS as a sender needs. A body "refused" is.
func sqsServer(t *testing.T) (url string, got chan sent) {
	t.Helper()
	got = make(chan sent, 1)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var s sent
		if err := json.NewDecoder(r.Body).Decode(&s); err != nil || r.Header.Get("X-Amz-Target") != "AmazonSQS.SendMessage" {
			t.Errorf("%s: %v", r.Header.Get("X-Amz-Target"), err)
		}
		w.Header().Set("Content-Type", "application/x-amz-json-1.0")
		if s.MessageBody == "refused" {
			w.WriteHeader(http.StatusBadRequest)
			fmt.Fprint(w, `{"__type":"com.amazonaws.sqs#QueueDoesNotExist","message":"The specified queue does not exist."}`)
			return
		}
		got <- s
		fmt.Fprintf(w, `{"MessageId":"1","MD5OfMessageBody":"%x"}`, md5.Sum([]byte(s.MessageBody)))
	}))
	t.Cleanup(server.Close)
	return server.URL, got
}

// A message that will never do better goes to the dead queue as it came, with the
// reason, cut between two characters; what the queue does not take is an error.
func TestDeadQueue(t *testing.T) {
	endpoint, got := sqsServer(t)
	for k, v := range map[string]string{
		"AWS_ENDPOINT_URL_SQS": endpoint, "AWS_REGION": "eu-central-1", "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "s",
		"AWS_CONFIG_FILE": t.TempDir() + "/none", "AWS_SHARED_CREDENTIALS_FILE": t.TempDir() + "/none",
	} {
		t.Setenv(k, v)
	}
	const queue = "https://sqs.eu-central-1.amazonaws.com/123456789012/dead"
	dead, err := deadQueue(t.Context(), queue)
	if err != nil {
		t.Fatal(err)
	}
	reason := strings.Repeat("x", reasonBytesMax-1) + "é and more"
	if err := dead(t.Context(), &events.SQSMessage{MessageId: "m1", Body: `{"a":1}`}, reason); err != nil {
		t.Fatal(err)
	}
	s := <-got
	if s.QueueURL != queue || s.MessageBody != `{"a":1}` {
		t.Errorf("sent %+v", s)
	}
	told := map[string]string{}
	for name, a := range s.MessageAttributes {
		if a.DataType != "String" || !utf8.ValidString(a.StringValue) || strings.ContainsRune(a.StringValue, utf8.RuneError) {
			t.Errorf("attribute %s is %q", name, a)
		}
		told[name] = a.StringValue
	}
	want := map[string]string{"reason": strings.Repeat("x", reasonBytesMax-1), "message": "m1"}
	if diff := cmp.Diff(want, told); diff != "" {
		t.Errorf("attributes (-want +got):\n%s", diff)
	}
	if err := dead(t.Context(), &events.SQSMessage{MessageId: "m2", Body: "refused"}, "r"); err == nil || !strings.Contains(err.Error(), "does not exist") {
		t.Errorf("a queue that is not there: %v", err)
	}
	if none, err := deadQueue(t.Context(), ""); none != nil || err != nil {
		t.Errorf("no dead queue: %v", err)
	}
}
