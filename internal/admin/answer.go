package admin

import (
	"encoding/json"
	"net/http"
)

// failure is the body of every answer that is not a success.
type failure struct {
	Error string `json:"error"`
	Kind  string `json:"kind,omitempty"`
}

// answer writes one JSON document. An error of the connection is the client's.
func answer(w http.ResponseWriter, code int, doc any) {
	body, err := json.MarshalIndent(doc, "", "  ")
	if err != nil {
		code, body = http.StatusInternalServerError, []byte(`{"error": "the answer cannot be encoded"}`)
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(code)
	_, _ = w.Write(append(body, '\n'))
}

func fail(w http.ResponseWriter, code int, text string) { answer(w, code, failure{Error: text}) }
