// Package store keeps Banyan's truth in PostgreSQL: campaigns and their versions,
// members, the event log, journeys, offers, the ledger, and what the router has still
// to do. It decides nothing about campaigns; it makes sure that what was decided is
// written once, whole, and in an order that every reader can trust.
//
// Errors that a caller can act on carry a campaign.Code.
package store
