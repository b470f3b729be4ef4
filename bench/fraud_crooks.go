package main

import (
	"time"
)

// self is a second account of the inviter's own.
func (p *population) self() {
	host, at := p.host(), p.within(month)
	home := p.home()
	second := p.join()
	switch roll := p.IntN(100); {
	case roll < 15:
		second.phone = host.phone
	case roll < 55:
		second.device = host.device
	case roll < 80:
		second.payer = host.payer
	default: // another phone, another number, another wallet, at home
	}
	p.ask("self-referral", at, host, second, p.near(home))
}

// circle is a ring of people in which the first is invited again by the last. The others
// came as anybody.
func (p *population) circle() {
	n, at := p.between(2, 12), p.within(month/2)
	ring := make([]*customer, n)
	for i := range ring {
		ring[i] = p.join()
	}
	for i := range n {
		who := "friends"
		if i == n-1 {
			who = "circles"
		}
		p.ask(who, at, ring[i], ring[(i+1)%n], p.somewhere())
		at += p.within(24*time.Hour) + time.Minute
	}
}

// boundTwice is a member who takes a second invitation, or a second account of hers with the
// old number or the old wallet.
func (p *population) boundTwice() {
	at, x := p.within(month/2), p.join()
	p.ask("friends", at, p.host(), x, p.somewhere())
	at += time.Hour + p.within(10*24*time.Hour)
	again := x
	switch roll := p.IntN(100); {
	case roll < 50:
	case roll < 85:
		again = p.join()
		again.phone = x.phone
	default:
		again = p.join()
		again.payer = x.payer
	}
	p.ask("bound twice", at, p.host(), again, p.somewhere())
}

// fake is an account that was made to be paid for.
func (p *population) fake() *customer {
	x := p.join()
	if p.chance(60) {
		x.prefix = []string{"162", "165", "167", "170", "171"}[p.IntN(5)]
	}
	x.verified = p.chance(65)
	return x
}

// networkFarm makes accounts with a new device each (emulators), from one place.
func (p *population) networkFarm() {
	host, place, at := p.join(), p.home(), p.within(month*2/3)
	pace := time.Duration(p.between(5, 300)) * time.Minute
	for range p.between(8, 60) {
		p.ask("farms on a network", at, host, p.fake(), p.near(place))
		at += p.within(2 * pace)
	}
}

// deviceFarm has a few phones and changes the network for each account.
func (p *population) deviceFarm() {
	host, at := p.join(), p.within(month*2/3)
	phones := make([]int, p.between(2, 8))
	for i := range phones {
		p.devices++
		phones[i] = p.devices
	}
	for range p.between(2, 8) * len(phones) {
		x := p.fake()
		x.device = phones[p.IntN(len(phones))]
		p.ask("farms of devices", at, host, x, p.somewhere())
		at += p.within(6 * time.Hour)
	}
}

// script binds accounts as fast as it can, through none to many proxies.
func (p *population) script() {
	host, at := p.join(), p.within(month)
	exits := p.between(1, 12)
	if p.chance(10) {
		exits = 200
	}
	first := p.homes
	p.homes += exits + 1
	for range p.between(20, 80) {
		network := 0x14000000 + uint32(first+1+p.IntN(exits))<<8
		p.ask("bursts by script", at, host, p.fake(), p.address(network))
		at += p.within(40 * time.Second)
	}
}

// throwAway uses mailboxes of services that everybody can name, and of some that are new.
func (p *population) throwAway() {
	host, at := p.host(), p.within(month)
	for range p.between(1, 6) {
		x := p.join()
		x.mail = []string{"mailinator.com", "yopmail.com", "guerrillamail.com", "temp-mail.org", "sub.10minutemail.com", "kzbx7.top", "mailpoof.example"}[p.IntN(7)]
		p.ask("throw-away mailboxes", at, host, x, p.somewhere())
		at += p.within(24 * time.Hour)
	}
}

// leavers are paid to join and leave when they are told that it counted.
func (p *population) leavers() {
	host, at := p.host(), p.within(month)
	for range p.between(3, 12) {
		a := p.ask("leavers", at, host, p.join(), p.somewhere())
		a.left = p.within(12 * time.Hour)
		if p.chance(25) {
			a.left = 24*time.Hour + p.within(24*time.Hour) // somebody read the rules
		}
		at += p.within(8 * time.Hour)
	}
}

// guesser tries codes until one is right: from one device, with a new one for each few tries in one
// network, or with everything new.
func (p *population) guesser() {
	at, home := p.within(month), p.home()
	way := p.IntN(100)
	device := p.devices + 1
	p.devices++
	for range p.between(1, 5) {
		x := p.join()
		from, wrong := p.near(home), p.between(15, 200)
		switch {
		case way < 60:
			x.device = device
		case way < 85:
			wrong = p.between(1, 5)
		default:
			wrong, from = p.between(1, 5), p.somewhere()
		}
		victim := p.people[p.members[p.IntN(len(p.members))]]
		a := p.ask("guessed codes", at, victim, x, from)
		a.wrongCodes = wrong
		at += p.within(20 * time.Minute)
	}
}

// replay sends a recorded request again: with another member in it, or late.
func (p *population) replay() {
	host, at := p.host(), p.within(month)
	first := *p.ask("friends", at, host, p.join(), p.somewhere())
	for range p.between(1, 4) {
		at += time.Minute + p.within(3*time.Hour)
		a := p.ask("replays", at, host, p.join(), p.somewhere())
		if p.chance(80) {
			a.request = first.request
		}
		a.age = at - first.at + first.age
	}
}

// patient people are real ones, with a phone, a number and a network of their own, who are paid
// to join and leave a week later. Nothing in what a shop sees tells them from friends.
func (p *population) patient() {
	host, at := p.join(), p.within(month*2/3)
	for range p.between(5, 40) {
		a := p.ask("patient people who are paid", at, host, p.join(), p.somewhere())
		a.left = 6*24*time.Hour + p.within(4*24*time.Hour)
		at += p.within(20 * time.Hour)
	}
}
