// Package watchtest holds the alert rules and the dashboard to what they promise: that
// Prometheus can read every expression, and that operators are told what each alert
// means. It is a module of its own, so that the product does not carry Prometheus.
//
// That every metric which they name is there is tested where the programs run, in e2e.
//
// Run it with -count=1: Go's test cache does not watch files outside the module.
package watchtest
