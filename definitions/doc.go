// Package definitions reads the campaign language: it turns one YAML file into a
// checked campaign.Definition, or into every problem of the file at once, each with
// its position, what is allowed there and the nearest known name. It also holds the
// campaigns that Banyan ships.
//
// It decides what a file may say. What the words then do is decided elsewhere: here is
// no clock, no store and no network, and conditions are handed to package rules.
package definitions
