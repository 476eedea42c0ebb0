package resp

// Stats are what the server has done since its start, or since CONFIG RESETSTAT.
type Stats struct {
	Clients     int   `json:"clients"` // connected now
	ClientsMax  int   `json:"clients_max"`
	Connections int64 `json:"connections"`
	Refused     int64 `json:"refused"`
	Commands    int64 `json:"commands"`
	Errors      int64 `json:"errors"` // answers that say so
	BytesIn     int64 `json:"bytes_in"`
	BytesOut    int64 `json:"bytes_out"`
}

// Stats costs a lock and a few loads.
func (s *Server) Stats() Stats {
	s.mu.Lock()
	n := len(s.conns)
	s.mu.Unlock()
	m := &s.metrics
	return Stats{
		Clients: n, ClientsMax: s.opts.MaxClients, Connections: m.connections.Load(), Refused: m.refused.Load(),
		Commands: m.commands.Load(), Errors: m.errors.Load(), BytesIn: m.in.Load(), BytesOut: m.out.Load(),
	}
}
