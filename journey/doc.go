// Package journey is the pure core of a member's way through a campaign: what happens
// next, from (definition, state, input, now). It does no I/O, reads no clock, takes no
// chance and knows nothing of Temporal or PostgreSQL. Workflows, the simulator and the
// tests all drive this one core.
//
// A turn replays what happened since the last one in the order in which it was stored,
// with every timer at its own moment in between. So it makes no difference to the
// outcome whether a turn runs at once, late, or once for ten events.
package journey
