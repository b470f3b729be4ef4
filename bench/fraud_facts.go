package main

import (
	"net/netip"
	"slices"
	"time"

	"github.com/banyanhq/banyan/fraud"
)

// ledger gathers the facts of an invitation in memory, as a store does with indexes.
type ledger struct {
	people  map[string]*customer
	rules   fraud.Rules
	inviter map[string]string        // of each member, over invitations that stand
	stands  map[string]int           // invitations of each member that stand
	phones  map[int]map[string]bool  // members with that phone whose invitation stands
	payers  map[int]map[string]bool  // the same by payment account
	devices map[int][]bound          // by device
	brought map[string][]bound       // by inviter
	nets    map[netip.Prefix][]bound // by network
	wrong   map[int][]tried          // wrong codes by device
	wrongOf map[netip.Prefix][]tried // by network
	seen    map[int]map[string]bool  // members for whom a request came
	left    map[string]*departures   // by inviter
}

type bound struct {
	at      time.Duration
	member  string
	network netip.Prefix
}

type tried struct {
	at    time.Duration
	codes int
}

// departures are when an inviter's invitees were bound, and when those were bound who left at
// once, as it becomes known.
type departures struct{ bound, left []time.Duration }

func newLedger(p *population, rules fraud.Rules) *ledger {
	return &ledger{
		people: p.people, rules: rules, inviter: map[string]string{}, stands: map[string]int{}, phones: map[int]map[string]bool{}, payers: map[int]map[string]bool{},
		devices: map[int][]bound{}, brought: map[string][]bound{}, nets: map[netip.Prefix][]bound{}, wrong: map[int][]tried{}, wrongOf: map[netip.Prefix][]tried{},
		seen: map[int]map[string]bool{}, left: map[string]*departures{},
	}
}

// repeated reports whether a request was answered before: the same for the same member.
func (l *ledger) repeated(a *asked) bool { return l.seen[a.request][a.invitee] }

// facts gathers what is known when the invitation is asked for.
func (l *ledger) facts(a *asked) fraud.Facts {
	host, guest := l.people[a.inviter], l.people[a.invitee]
	network, known := fraud.Network(a.from)
	f := fraud.Facts{
		Inviter: a.inviter, Invitee: a.invitee, SamePhone: host.phone == guest.phone, SamePayment: host.payer == guest.payer, SameDevice: host.device == a.device,
		Bound: l.stands[a.invitee], PhoneBound: others(l.phones[guest.phone], a.invitee), PaymentBound: others(l.payers[guest.payer], a.invitee), KnownPlace: a.atDesk,
		MailDomain: guest.mail, PhonePrefix: guest.prefix, Unverified: !guest.verified, RequestMembers: others(l.seen[a.request], a.invitee), RequestAge: a.age,
	}
	for m, ok := l.inviter[a.inviter]; ok && !slices.Contains(f.Chain, m); m, ok = l.inviter[m] {
		f.Chain = append(f.Chain, m)
	}
	if known {
		f.NetworkBinds = len(since(l.nets[network], a.at-l.rules.Within(fraud.NetworkVelocity)))
		f.NetworkFailures = codesSince(l.wrongOf[network], a.at-l.rules.Within(fraud.GuessingNetwork))
	}
	f.CodeFailures = codesSince(l.wrong[a.device], a.at-l.rules.Within(fraud.GuessedCode))
	l.count(&f, a, func(within time.Duration) (from, to time.Duration) { return a.at - within, a.at })
	l.history(&f, a.at)
	return f
}

// recount counts what has changed until the reward vests: of each window the larger number,
// that before the request or that after it.
func (l *ledger) recount(f *fraud.Facts, a *asked, now time.Duration) {
	g := fraud.Facts{Inviter: f.Inviter}
	l.count(&g, a, func(within time.Duration) (from, to time.Duration) { return a.at, min(now, a.at+within) })
	f.DeviceMembers, f.InviterNetwork = max(f.DeviceMembers, g.DeviceMembers), max(f.InviterNetwork, g.InviterNetwork)
	if g.InviterBinds > f.InviterBinds {
		f.InviterBinds, f.InviterNetworks = g.InviterBinds, g.InviterNetworks
	}
	if g.BurstBinds > f.BurstBinds {
		f.BurstBinds, f.BurstNetworks = g.BurstBinds, g.BurstNetworks
	}
	l.history(f, now)
}

// history adds what the inviter's earlier invitees did.
func (l *ledger) history(f *fraud.Facts, now time.Duration) {
	if d := l.left[f.Inviter]; d != nil {
		old := now - l.rules.Within(fraud.LeftAtOnce)
		f.InviterOld, f.InviterLeft = countUntil(d.bound, old), countUntil(d.left, old)
	}
}

// typed notes the wrong codes that came before the request.
func (l *ledger) typed(a *asked) {
	if a.wrongCodes == 0 {
		return
	}
	t := tried{a.at, a.wrongCodes}
	l.wrong[a.device] = append(l.wrong[a.device], t)
	if network, ok := fraud.Network(a.from); ok {
		l.wrongOf[network] = append(l.wrongOf[network], t)
	}
}

// keep notes a request and what became of it.
func (l *ledger) keep(a *asked, v fraud.Verdict) {
	network, _ := fraud.Network(a.from)
	b := bound{a.at, a.invitee, network}
	l.devices[a.device] = append(l.devices[a.device], b)
	l.brought[a.inviter] = append(l.brought[a.inviter], b)
	l.nets[network] = append(l.nets[network], b)
	put(l.seen, a.request, a.invitee)
	if v.Rejected() {
		return
	}
	l.inviter[a.invitee] = a.inviter
	l.stands[a.invitee]++
	put(l.phones, l.people[a.invitee].phone, a.invitee)
	put(l.payers, l.people[a.invitee].payer, a.invitee)
	d := l.left[a.inviter]
	if d == nil {
		d = &departures{}
		l.left[a.inviter] = d
	}
	d.bound = append(d.bound, a.at)
}

// drop notes that an invitation that stood was rejected after all.
func (l *ledger) drop(a *asked) {
	l.stands[a.invitee]--
	if l.stands[a.invitee] == 0 {
		delete(l.inviter, a.invitee)
		delete(l.phones[l.people[a.invitee].phone], a.invitee)
		delete(l.payers[l.people[a.invitee].payer], a.invitee)
	}
}

// departed notes that an invitee left at once.
func (l *ledger) departed(a *asked) {
	if d := l.left[a.inviter]; d != nil {
		d.left = append(d.left, a.at)
	}
}

// count counts what rules with a window look at.
func (l *ledger) count(f *fraud.Facts, a *asked, window func(within time.Duration) (from, to time.Duration)) {
	network, known := fraud.Network(a.from)
	counted := func(all []bound, name fraud.Name) []bound {
		from, to := window(l.rules.Within(name))
		i, _ := slices.BinarySearchFunc(all, from, func(b bound, t time.Duration) int { return int(b.at - t) })
		j, _ := slices.BinarySearchFunc(all, to+1, func(b bound, t time.Duration) int { return int(b.at - t) })
		return all[i:j]
	}
	members := map[string]bool{}
	for _, b := range counted(l.devices[a.device], fraud.DeviceVelocity) {
		members[b.member] = true
	}
	f.DeviceMembers = others(members, a.invitee)
	mine := l.brought[a.inviter]
	f.InviterBinds, f.InviterNetworks = networks(counted(mine, fraud.InviterVelocity), a.invitee, network)
	f.BurstBinds, f.BurstNetworks = networks(counted(mine, fraud.Burst), a.invitee, network)
	for _, b := range counted(mine, fraud.InviterNetwork) {
		if known && b.network == network && b.member != a.invitee {
			f.InviterNetwork++
		}
	}
}

// networks is how many were bound, and from how many networks, with that of one who is not
// counted.
func networks(all []bound, but string, of netip.Prefix) (binds, different int) {
	set := map[netip.Prefix]struct{}{of: {}}
	for i := range all {
		if all[i].member != but {
			binds++
			set[all[i].network] = struct{}{}
		}
	}
	return binds, len(set)
}

func put[K comparable](m map[K]map[string]bool, key K, member string) {
	if m[key] == nil {
		m[key] = map[string]bool{}
	}
	m[key][member] = true
}

// others is how many members of a set are not this one.
func others(set map[string]bool, member string) int {
	n := len(set)
	if set[member] {
		n--
	}
	return n
}

func countUntil(all []time.Duration, last time.Duration) (n int) {
	for _, at := range all {
		if at <= last {
			n++
		}
	}
	return n
}

// since is the part of what is in the order of time that is not before a moment.
func since(all []bound, from time.Duration) []bound {
	i, _ := slices.BinarySearchFunc(all, from, func(b bound, t time.Duration) int { return int(b.at - t) })
	return all[i:]
}

func codesSince(all []tried, from time.Duration) (n int) {
	for i := len(all) - 1; i >= 0 && all[i].at >= from; i-- {
		n += all[i].codes
	}
	return n
}
