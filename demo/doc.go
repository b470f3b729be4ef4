// Package demo plays the model campaign: it imports the members of a file, submits and
// starts the campaign with a clock that runs fast, tells the events of a file at their
// moments through the HTTP API, and reports what came of it.
//
// It knows Banyan by its HTTP API alone, as a shop would.
package demo
