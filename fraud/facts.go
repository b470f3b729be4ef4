package fraud

import (
	"net/netip"
	"time"
)

// Facts are what is known of an invitation when it is judged. A fact that is not known
// stays zero and hits no rule.
//
// Counts are of others: the invitation that is judged is not in them. "Bound"
// counts every request to bind that was understood, whatever became of it, except where it
// says that they stand: that is, neither rejected nor expired.
//
// Windows end at the moment of the request; how long they are the rules say ([Rules.Within]).
// An invitation should be judged when it is asked for, and again before its reward vests. Then
// what a window counts is the larger of the two numbers before the request and after it: the first
// account of a farm looks like anybody until the others have come.
type Facts struct {
	// Inviter and Invitee are the members.
	Inviter string `json:"inviter"`
	Invitee string `json:"invitee"`

	// What the two share. SamePerson is set if a merge of identities says so; that the two ids are
	// equal is found without it. The others compare hashes.
	SamePerson  bool `json:"same_person,omitempty"`
	SamePhone   bool `json:"same_phone,omitempty"`
	SamePayment bool `json:"same_payment,omitempty"`
	SameDevice  bool `json:"same_device,omitempty"`

	// Chain is who brought the inviter, who brought that one, and so on to the first, over
	// invitations of this campaign that stand. A circle is found as far as the chain goes.
	Chain []string `json:"chain,omitempty"`

	// Bound is how many invitations of this invitee stand in this campaign. PhoneBound and
	// PaymentBound are how many stand of other invitees with the same phone or payment
	// account.
	Bound        int `json:"bound,omitempty"`
	PhoneBound   int `json:"phone_bound,omitempty"`
	PaymentBound int `json:"payment_bound,omitempty"`

	// KnownPlace says that the device or the network belongs to the campaign's own people: the
	// tablet at the desk, the Wi-Fi of a branch. Rules that count by device or network pass over
	// it then.
	KnownPlace bool `json:"known_place,omitempty"`

	// DeviceMembers is how many other members were bound from the invitee's device.
	DeviceMembers int `json:"device_members,omitempty"`
	// InviterBinds is how many the inviter brought, and InviterNetworks from how many
	// different networks (see Network), the invitee's with them. InviterNetwork is how many
	// the inviter brought from the invitee's network, over the window of that rule.
	InviterBinds    int `json:"inviter_binds,omitempty"`
	InviterNetworks int `json:"inviter_networks,omitempty"`
	InviterNetwork  int `json:"inviter_network,omitempty"`
	// NetworkBinds is how many were bound from the invitee's network, by whomever.
	NetworkBinds int `json:"network_binds,omitempty"`
	// BurstBinds is how many the inviter brought in the window of a burst, and BurstNetworks
	// from how many different networks, the invitee's with them.
	BurstBinds    int `json:"burst_binds,omitempty"`
	BurstNetworks int `json:"burst_networks,omitempty"`

	// MailDomain is what follows the @ of the invitee's address, PhonePrefix how her number
	// begins, without the country: three digits say nothing of a person. Unverified says
	// that neither a phone nor a platform's account of hers was verified.
	MailDomain  string `json:"mail_domain,omitempty"`
	PhonePrefix string `json:"phone_prefix,omitempty"`
	Unverified  bool   `json:"unverified,omitempty"`

	// Left says that the invitee has left again (unsubscribed, left the group, closed the
	// account), LeftAfter how long after the bind, or after she did what counts if she left
	// behind that. Known only when a reward is to vest.
	Left      bool          `json:"left,omitempty"`
	LeftAfter time.Duration `json:"left_after,omitempty"`
	// InviterOld is how many of the inviter's invitees were bound longer ago than the
	// window of left-at-once, InviterLeft how many of those left within it.
	InviterOld  int `json:"inviter_old,omitempty"`
	InviterLeft int `json:"inviter_left,omitempty"`

	// CodeFailures is how many wrong codes came from the invitee or her device,
	// NetworkFailures how many from her network.
	CodeFailures    int `json:"code_failures,omitempty"`
	NetworkFailures int `json:"network_failures,omitempty"`

	// RequestMembers is for how many other members the same request (its id, nonce or
	// signature) has come. The same request again for the same member is a retry, and no
	// fraud. RequestAge is how long ago the request says it was made.
	RequestMembers int           `json:"request_members,omitempty"`
	RequestAge     time.Duration `json:"request_age,omitempty"`
}

// Network is the block of addresses that are counted as one: /24 of IPv4, /48 of IPv6, which
// is what one household or one small firm gets. An address that says nothing of where
// somebody is (private, of this machine, none) gives ok false: leave the facts of the
// network zero then, or everybody behind one's own proxy would be one network.
func Network(addr netip.Addr) (block netip.Prefix, ok bool) {
	addr = addr.Unmap().WithZone("")
	if !addr.IsGlobalUnicast() || addr.IsPrivate() || shared.Contains(addr) {
		return netip.Prefix{}, false
	}
	bits := 48
	if addr.Is4() {
		bits = 24
	}
	block, err := addr.Prefix(bits)
	return block, err == nil
}

// shared is what carriers use between themselves and their customers (RFC 6598). It must
// never arrive; if it does, it says nothing.
var shared = netip.MustParsePrefix("100.64.0.0/10")
