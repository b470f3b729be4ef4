//go:build race

package rules_test

// raceEnabled tells tests of allocations that the race detector makes some of its own.
const raceEnabled = true
