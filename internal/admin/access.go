package admin

import (
	"crypto/sha256"
	"crypto/subtle"
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// denial is why a request is not answered.
type denial struct {
	code int
	text string
}

func (d *denial) answer(w http.ResponseWriter) {
	if d.code == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", `Bearer realm="nodedb"`)
	}
	fail(w, d.code, d.text)
}

// admit says nil to who may.
func (s *Server) admit(r *http.Request, a access) *denial {
	if a == forAll {
		return nil
	}
	if s.opts.Token != "" {
		if a == forFiles || s.holdsToken(r) {
			return nil
		}
		return &denial{http.StatusUnauthorized, "give the token of --admin-token-file: Authorization: Bearer TOKEN"}
	}
	switch {
	case a == forChange:
		return &denial{http.StatusUnauthorized, "this needs a token, and the node was started without --admin-token-file"}
	case !fromHere(r):
		return &denial{http.StatusUnauthorized, "only this machine is answered: the node was started without --admin-token-file"}
	case !loopbackHost(r.Host):
		return &denial{http.StatusForbidden, "the Host header is not a name of this machine: use localhost or 127.0.0.1"}
	}
	return nil
}

// holdsToken compares sums, so that time tells neither content nor length.
func (s *Server) holdsToken(r *http.Request) bool {
	values := r.Header.Values("Authorization")
	if len(values) != 1 {
		return false
	}
	scheme, token, _ := strings.Cut(values[0], " ")
	got, want := sha256.Sum256([]byte(strings.TrimSpace(token))), sha256.Sum256([]byte(s.opts.Token))
	return subtle.ConstantTimeCompare(got[:], want[:]) == 1 && strings.EqualFold(scheme, "Bearer")
}

// proxyHeaders are left by who passes on the requests of others.
var proxyHeaders = []string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Real-Ip", "Via"}

// fromHere tells whether a request comes from this machine, by itself.
func fromHere(r *http.Request) bool {
	for _, h := range proxyHeaders {
		if len(r.Header.Values(h)) > 0 {
			return false
		}
	}
	at, err := netip.ParseAddrPort(r.RemoteAddr)
	return err == nil && at.Addr().Unmap().IsLoopback()
}

func loopbackHost(host string) bool {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	if strings.EqualFold(host, "localhost") {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback()
}
