// Package campaign holds the plain values and names that cross every border of
// Banyan: what a campaign is once it has been checked (Definition and its steps),
// money, events, members, the effects and trace lines that the core decides, the
// names of workflows, signals and task queues, and the error codes.
//
// It imports the standard library and nothing of ours, so that everything else may
// import it. What is declared here is stored in PostgreSQL and recorded in Temporal
// histories: a change of a JSON name here is a change of format.
package campaign
