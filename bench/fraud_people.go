package main

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"
)

// The people of the benchmark fraud, honest and not, and what they do in a month. Nothing
// here knows the rules that judge them: what people do was written down first, from how
// farms, families and branches work, and was not fitted to limits.

// customer is what a shop knows of a member.
type customer struct {
	member               string
	device, phone, payer int
	prefix, mail         string
	verified             bool
}

// asked is one request to bind an invitee to an inviter, with what was planted.
type asked struct {
	at               time.Duration // since the month began
	inviter, invitee string
	device           int // from which it came, which need not be the invitee's own
	from             netip.Addr
	request          int           // its id: the same for a retry and for a replay
	age              time.Duration // since the client made it
	wrongCodes       int           // codes typed in vain from this device before
	left             time.Duration // after which she left; 0: she stayed
	atDesk           bool          // the place is one that the campaign named as its own
	who              string        // of which people: a name of honestPeople or of fraudKinds
}

// month is how long the campaign of the benchmark runs.
const month = 30 * 24 * time.Hour

var honestPeople = []string{"friends", "families", "dormitories", "offices", "bloggers' readers", "phones handed on", "branches with a named desk", "branches without"}

// sameDay are honest people who leave within a day. They are no fraud, and no reward is due for
// them; so they are counted apart.
const sameDay = "leave the same day, honest"

// fraudKinds are what is planted. Of each kind some are done clumsily and some well.
var fraudKinds = []string{
	"self-referral", "circles", "bound twice", "farms on a network", "farms of devices", "bursts by script", "throw-away mailboxes", "leavers", "guessed codes", "replays",
	"patient people who are paid",
}

type population struct {
	*rand.Rand
	people                          map[string]*customer
	members                         []string // all, in the order in which they came
	asked                           []asked
	devices, phones, homes, request int
}

// populate makes n requests, in the order of their time: about 92 of 100 honest.
func populate(seed uint64, n int) *population {
	p := &population{Rand: rand.New(rand.NewPCG(seed, 7)), people: map[string]*customer{}}
	honest := n * 92 / 100
	for _, group := range []struct {
		share int // of 100
		make  func()
	}{
		{46, p.friends}, {14, p.family}, {12, p.dormitory}, {8, p.office}, {11, p.blogger}, {2, p.handedOn}, {4, func() { p.branch(true) }}, {3, func() { p.branch(false) }},
	} {
		for until := min(honest, len(p.asked)+max(1, honest*group.share/100)); len(p.asked) < until; {
			group.make()
		}
	}
	honestEnd := len(p.asked)
	planted := []func(){
		p.self, p.circle, p.boundTwice, p.networkFarm, p.deviceFarm, p.script, p.throwAway, p.leavers, p.guesser, p.replay, p.patient,
	}
	// Each kind has the same number of requests, for each has the same right to be missed.
	for i, plant := range planted {
		for kind, until := fraudKinds[i], max(1, (n-honestEnd)/len(planted)); p.count(kind, honestEnd) < until; {
			plant()
		}
	}
	slices.SortStableFunc(p.asked, func(a, b asked) int { return int(a.at - b.at) })
	return p
}

func (p *population) count(kind string, since int) (n int) {
	for i := since; i < len(p.asked); i++ {
		if p.asked[i].who == kind {
			n++
		}
	}
	return n
}

func (p *population) chance(percent float64) bool { return p.Float64()*100 < percent }
func (p *population) between(a, b int) int        { return a + p.IntN(b-a+1) }
func (p *population) within(d time.Duration) time.Duration {
	return time.Duration(p.Int64N(int64(d)))
}

// join makes a person with a phone of her own.
func (p *population) join() *customer {
	p.devices++
	p.phones++
	x := &customer{member: "m-" + number(float64(len(p.members)+1)), device: p.devices, phone: p.phones, payer: p.phones, verified: !p.chance(6)}
	x.prefix = []string{"134", "138", "139", "150", "158", "186", "188", "199"}[p.IntN(8)]
	if p.chance(4) {
		x.prefix = []string{"165", "170", "171"}[p.IntN(3)] // a virtual operator's
	}
	if p.chance(15) {
		x.mail = []string{"qq.com", "163.com", "126.com", "gmail.com", "outlook.com", "foxmail.com"}[p.IntN(6)]
	}
	p.people[x.member] = x
	p.members = append(p.members, x.member)
	return x
}

// host is somebody who invites: a new member, or one who was invited herself.
func (p *population) host() *customer {
	if len(p.members) > 100 && p.chance(30) {
		return p.people[p.members[p.IntN(len(p.members))]]
	}
	return p.join()
}

// home is a network of somebody's own: a /24 or, for one of five, a /48 of IPv6.
func (p *population) home() netip.Addr {
	p.homes++
	if p.homes%5 == 0 {
		a := [16]byte{0x24, 0x08, 0x80, 0x00}
		binary.BigEndian.PutUint16(a[4:], uint16(p.homes))
		a[3], a[15] = byte(p.homes>>16), 1
		return netip.AddrFrom16(a)
	}
	return p.address(0x14000000 + uint32(p.homes)<<8) // from 20.0.0.0 on
}

// carrier is an address of one of two hundred blocks behind which a carrier has its phones.
func (p *population) carrier() netip.Addr { return p.address(0x27000000 + uint32(p.IntN(200))<<8) }

func (p *population) address(network uint32) netip.Addr {
	var a [4]byte
	binary.BigEndian.PutUint32(a[:], network+uint32(p.between(1, 254)))
	return netip.AddrFrom4(a)
}

// somewhere is where somebody is who has nothing to do with the inviter.
func (p *population) somewhere() netip.Addr {
	if p.chance(45) {
		return p.carrier()
	}
	return p.home()
}

// near is another address of the same network.
func (p *population) near(network netip.Addr) netip.Addr {
	if network.Is6() {
		a := network.As16()
		binary.BigEndian.PutUint64(a[8:], p.Uint64())
		a[7] = byte(p.IntN(256))
		return netip.AddrFrom16(a)
	}
	a := network.As4()
	a[3] = byte(p.between(1, 254))
	return netip.AddrFrom4(a)
}

// ask notes a request, with the little accidents that honest people have.
func (p *population) ask(who string, at time.Duration, inviter, invitee *customer, from netip.Addr) *asked {
	p.request++
	a := asked{at: at, inviter: inviter.member, invitee: invitee.member, device: invitee.device, from: from, request: p.request, age: p.within(8 * time.Second), who: who}
	if p.chance(3) {
		a.wrongCodes = p.between(1, 4)
	}
	if p.chance(0.05) {
		a.age = 5*time.Minute + p.within(20*time.Minute) // the phone was in a lift, or its clock is wrong
	}
	switch {
	case p.chance(0.4) && slices.Contains(honestPeople, who): // it was not for her
		a.left, a.who = p.within(24*time.Hour), sameDay
	case p.chance(4):
		a.left = 24*time.Hour + p.within(20*24*time.Hour)
	}
	p.asked = append(p.asked, a)
	return &p.asked[len(p.asked)-1]
}

func (p *population) friends() {
	host, at := p.host(), p.within(month)
	for range p.between(1, 5) {
		a := p.ask("friends", at, host, p.join(), p.somewhere())
		if p.chance(2) { // the answer was lost on the way: the same request again
			again := *a
			again.at += 3 * time.Second
			p.asked = append(p.asked, again)
		}
		at += p.within(3 * 24 * time.Hour)
	}
}

func (p *population) family() {
	host, home, at := p.host(), p.home(), p.within(month)
	tablet := p.chance(10)
	for range p.between(1, 5) {
		x := p.join()
		if p.chance(12) {
			x.payer = host.payer // a child, a grandmother
		}
		if tablet && p.chance(50) {
			x.device = host.device
		}
		from := p.near(home)
		if p.chance(25) {
			from = p.carrier()
		}
		p.ask("families", at, host, x, from)
		at += p.within(2 * 24 * time.Hour)
	}
}

func (p *population) dormitory() {
	house, evening := p.home(), p.within(month)
	for range p.between(8, 30) { // who tell their rooms and friends in the house
		host, at := p.host(), evening+p.within(4*24*time.Hour)
		for range p.between(1, 7) {
			from := p.near(house)
			if p.chance(40) {
				from = p.carrier()
			}
			p.ask("dormitories", at, host, p.join(), from)
			at += p.within(12 * time.Hour)
		}
	}
}

func (p *population) office() {
	office, day := p.home(), p.within(month)
	for range p.between(3, 12) {
		host, at := p.host(), day+p.within(36*time.Hour)
		for range p.between(1, 8) {
			from := p.near(office)
			if p.chance(30) {
				from = p.somewhere()
			}
			p.ask("offices", at, host, p.join(), from)
			at += p.within(5 * time.Hour)
		}
	}
}

// blogger posts some times; most readers come in the first hour, from everywhere.
func (p *population) blogger() {
	host := p.join()
	for range p.between(1, 3) {
		post := p.within(month)
		for range p.between(60, 300) {
			p.ask("bloggers' readers", post+time.Duration(p.ExpFloat64()*float64(50*time.Minute)), host, p.join(), p.somewhere())
		}
	}
}

func (p *population) handedOn() {
	host, before, at := p.host(), p.join(), p.within(month)
	p.ask("friends", at, host, before, p.somewhere())
	after := p.join()
	after.device = before.device
	p.ask("phones handed on", at+2*24*time.Hour+p.within(20*24*time.Hour), p.host(), after, p.somewhere())
}

// branch has a person at the desk who invites whoever comes in.
func (p *population) branch(named bool) {
	who := honestPeople[7]
	if named {
		who = honestPeople[6]
	}
	desk, wifi := p.join(), p.home()
	for range p.between(30, 150) {
		x, from := p.join(), p.near(wifi)
		if p.chance(30) {
			from = p.carrier()
		}
		a := p.ask(who, p.within(month), desk, x, from)
		if p.chance(10) { // on the tablet at the desk
			a.device, a.from = desk.device, p.near(wifi)
		}
		a.atDesk = named && (a.device == desk.device || a.from.Is4() == wifi.Is4() && p.same(a.from, wifi))
	}
}

// same reports whether two addresses are of one branch; the branch knows its own Wi-Fi.
func (p *population) same(a, b netip.Addr) bool {
	if a.Is4() {
		x, y := a.As4(), b.As4()
		return [3]byte(x[:3]) == [3]byte(y[:3])
	}
	x, y := a.As16(), b.As16()
	return [6]byte(x[:6]) == [6]byte(y[:6])
}
