// Package composetest holds docker-compose.yml, and the files that it uses, to what they
// promise. It is a module of its own, so that the product does not carry a parser of
// Compose files.
//
// Run it with -count=1: Go's test cache does not watch files outside the module.
package composetest
