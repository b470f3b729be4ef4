// Package devstack brings up what Banyan needs on one machine — PostgreSQL and Temporal
// with its web UI — for `banyan dev`, `banyan demo` and the tests, and takes it down
// again. No container engine is needed.
//
// What already runs is used as it is: with BANYAN_DATABASE_URL set no PostgreSQL is
// started, with TEMPORAL_ADDRESS (or a profile of Temporal's own environment
// configuration) set no Temporal is. Otherwise both are private to one folder
// ([Config].Dir, `.banyan` in the project by default):
//
//   - PostgreSQL is a cluster of its own made with the binaries found on the machine,
//     on a loopback port, with a generated password. Started by root it runs as an
//     unprivileged user, because PostgreSQL refuses to run as root.
//   - Temporal is the server in devstack/temporal, a module of its own, built once.
//
// Both live on a leash: a pipe on their standard input whose other end only the
// starting process holds. However that process ends, SIGKILL included, the system closes
// the pipe and they stop. (Linux's parent-death signal would not do: it is lost when
// the child changes its user, it follows the starting thread rather than the process,
// and other systems do not have it.) They run in process groups of their own, so a
// terminal's Ctrl-C reaches only the starter, which then stops them in order.
//
// One folder serves one stack at a time. The second start gets an error that names the
// process that holds it; it does not share, because whoever started the stack also ends
// it. Programs that are to share a stack are given its [Stack.Env].
package devstack
