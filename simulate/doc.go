// Package simulate rehearses a campaign: it drives the same core as the engine with a
// virtual clock and the truth in memory, for one member of a campaign test as for a
// million members of a made-up or a past population. It reads no clock and takes no
// chance of its own: luck is a hash of a seed and a member.
//
// Members share nothing but stock and budgets, so each is taken through the whole span by
// herself. See limits.go for how what is shared is decided in the order of virtual time.
package simulate
