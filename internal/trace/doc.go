// Package trace sends what a node does to an OpenTelemetry collector: spans, by OTLP
// over HTTP. It is the only package that knows OpenTelemetry.
//
// A Tracer belongs to the process. A nil one traces nothing, and all that it hands
// out is nil and does nothing: without --otlp-endpoint a request pays for one
// comparison and allocates nothing.
//
// # What must hold
//
//   - Nobody who is served waits for the collector. Spans that end go to a bounded
//     queue, whose overflow is dropped; one goroutine sends from it.
//   - A span holds names and numbers that the program knows: commands, routes,
//     tenants, codes. Never a key, a value, a password, or the text of an error,
//     which may show any of them.
//   - Whether a trace begins is decided before anything is made for it. A request
//     that carries a trace of its caller does as that one does.
//   - Delivery errors are logged at most once a minute, without the headers.
package trace
