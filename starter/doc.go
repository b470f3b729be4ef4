// Package starter is the outside's way in: the HTTP API that shops, mini programs and
// data teams call, and the router that carries what they told to the journeys.
//
// Every handler writes to PostgreSQL alone. Temporal may be away; what was accepted is
// kept, and routed when it is back.
package starter
