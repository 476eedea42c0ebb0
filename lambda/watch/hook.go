package watch

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/nodedb-go/nodedb/lambda/index"
)

// waitingMax is how many posts wait for their turn.
const waitingMax = 64

// Hook takes events by HTTP until ctx is over, as MinIO's webhook and others post
// them in the form of S3. A token that is not empty must come along:
// "Authorization: Bearer <token>". It answers when the segments of the event are
// done with:
//
//	200      {}, also for what is no segment
//	204      to GET and HEAD, which ask whether somebody is there
//	400      the body cannot be read or is too large
//	401      the token is missing or wrong
//	404      all that the event names is of another archive
//	405      another method
//	422      it is no event, or a segment in it will never do better
//	503      the store has trouble, or too many wait; Retry-After says when
//
// with {"error": …} where there is one.
func (w *Watcher) Hook(ctx context.Context, token string) http.Handler {
	return &hook{w: w, token: token, ctx: ctx, waiting: make(chan struct{}, waitingMax), turn: make(chan struct{}, 1)}
}

type hook struct {
	w       *Watcher
	token   string
	ctx     context.Context // of the work: that of a post ends with its patience
	waiting chan struct{}   // holds one for each post that is there
	turn    chan struct{}   // holds one for the post that is worked on
}

// ServeHTTP implements http.Handler.
func (h *hook) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.Method == http.MethodGet || r.Method == http.MethodHead:
		w.WriteHeader(http.StatusNoContent)
	case r.Method != http.MethodPost:
		w.Header().Set("Allow", "GET, HEAD, POST")
		h.answer(w, http.StatusMethodNotAllowed, errors.New("events come by POST"))
	case !h.admits(r):
		w.Header().Set("WWW-Authenticate", "Bearer")
		h.answer(w, http.StatusUnauthorized, errors.New("the token is missing or wrong"))
	default:
		status, err := h.post(w, r)
		h.answer(w, status, err)
	}
}

// admits compares hashes, whose length tells nothing.
func (h *hook) admits(r *http.Request) bool {
	if h.token == "" {
		return true
	}
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	got, want := sha256.Sum256([]byte(strings.TrimSpace(token))), sha256.Sum256([]byte(h.token))
	return strings.EqualFold(scheme, "Bearer") && subtle.ConstantTimeCompare(got[:], want[:]) == 1
}

var errBusy = errors.New("too many events wait for their turn")

// post takes a place before it reads: what waits here is bounded.
func (h *hook) post(w http.ResponseWriter, r *http.Request) (int, error) {
	select {
	case h.waiting <- struct{}{}:
		defer func() { <-h.waiting }()
	default:
		return http.StatusServiceUnavailable, errBusy
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, index.EventBytesMax))
	if err != nil {
		return http.StatusBadRequest, err
	}
	return h.event(r.Context(), string(body))
}

// event waits for its turn as long as the sender does. Work that is begun goes on
// without the sender, or a segment that takes longer than its patience would never
// be indexed.
func (h *hook) event(sender context.Context, text string) (int, error) {
	select {
	case h.turn <- struct{}{}:
		defer func() { <-h.turn }()
	case <-sender.Done():
		return http.StatusServiceUnavailable, sender.Err()
	case <-h.ctx.Done():
		return http.StatusServiceUnavailable, errors.New("the watch ends")
	}
	err := h.w.Handler.Event(h.ctx, text)
	switch {
	case err == nil:
		return http.StatusOK, nil
	case errors.Is(err, index.ErrForeign):
		return http.StatusNotFound, err
	case errors.Is(err, index.ErrPoison):
		return http.StatusUnprocessableEntity, err
	}
	return http.StatusServiceUnavailable, err
}

func (h *hook) answer(w http.ResponseWriter, status int, err error) {
	var doc struct {
		Error string `json:"error,omitempty"`
	}
	if err != nil {
		doc.Error = err.Error()
		h.w.log().Warn("event is refused", "status", status, "error", doc.Error)
	}
	if status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", strconv.Itoa(int(max(1, h.w.interval().Seconds()))))
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(doc) // a sender that is gone comes again
}
