package campaign

import (
	"net/mail"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// IdentityKind says what sort of address it is by which a channel reaches a member.
type IdentityKind string

// Kinds of identities. Those of a platform belong to one account of it: the same person
// has another openid for every app.
const (
	IdentityMail          IdentityKind = "mail"
	IdentityPhone         IdentityKind = "phone"
	IdentityWecomUser     IdentityKind = "wecom_userid"          // staff; account is the corp id
	IdentityWecomExternal IdentityKind = "wecom_external_userid" // a customer; account is the corp id
	IdentityOpenID        IdentityKind = "openid"                // account is the app id
	IdentityUnionID       IdentityKind = "unionid"               // account is the open platform's account
)

// IdentityKinds lists every kind.
func IdentityKinds() []IdentityKind {
	return []IdentityKind{IdentityMail, IdentityPhone, IdentityWecomUser, IdentityWecomExternal, IdentityOpenID, IdentityUnionID}
}

// Valid reports whether there is such a kind.
func (k IdentityKind) Valid() bool { return slices.Contains(IdentityKinds(), k) }

// OfAccount reports whether an address of this kind means something only together with
// an account of its platform.
func (k IdentityKind) OfAccount() bool { return k != IdentityMail && k != IdentityPhone }

// IdentityState says whether a member may be reached by an address.
type IdentityState string

// States of an identity.
const (
	IdentityReachable IdentityState = "reachable"
	// IdentityUnreachable: the platform said that it takes nothing for this address any
	// more. A new address makes the member reachable again.
	IdentityUnreachable IdentityState = "unreachable"
	// IdentityOptedOut: the member does not want marketing by it. It outlives a change of
	// the address; only the caller takes it back. Service messages still go out.
	IdentityOptedOut IdentityState = "opted_out"
)

// IdentityStates lists every state.
func IdentityStates() []IdentityState {
	return []IdentityState{IdentityReachable, IdentityUnreachable, IdentityOptedOut}
}

// Valid reports whether there is such a state.
func (s IdentityState) Valid() bool { return slices.Contains(IdentityStates(), s) }

// Identity is how a member is reached by a channel, as it is read for a message.
type Identity struct {
	ID      int64
	Kind    IdentityKind
	Account string
	Address string // empty where only a state is known, and where it is Sealed
	Sealed  bool   // there is an address, and the configured key does not open it
	Hash    []byte // of the address, to change what is known of this one and no later one
	State   IdentityState
}

// Reasons for which a channel is passed over: it has no way to this member.
const (
	ReasonNoAddress   = "no_address"
	ReasonOptedOut    = "opted_out"
	ReasonUnreachable = "unreachable"
	// ReasonNoPermit: the channel writes to those alone who have permitted this very message.
	ReasonNoPermit = "no_permit"
)

// Unreached says why an identity takes no message of this kind; empty: it takes it.
func (i *Identity) Unreached(kind MessageKind) (reason string) {
	switch {
	case i.State == IdentityOptedOut && kind != KindService:
		return ReasonOptedOut
	case i.State == IdentityUnreachable:
		return ReasonUnreachable
	case i.Address == "" && !i.Sealed:
		return ReasonNoAddress
	}
	return ""
}

const maxAddress = 254 // of a mail address (RFC 5321, 4.5.3.1.3, without its brackets); the others are shorter

var (
	phoneMarks    = strings.NewReplacer(" ", "", "-", "", "(", "", ")", "", "\u00a0", "", ".", "")
	phoneForm     = regexp.MustCompile(`^\+[1-9][0-9]{6,14}$`) // E.164
	chineseMobile = regexp.MustCompile(`^1[3-9][0-9]{9}$`)
	platformID    = regexp.MustCompile(`^[0-9A-Za-z_.@-]{1,128}$`)
)

// ParseAddress brings an address to the one form in which it is kept and compared. why is
// for the person who wrote it, and does not quote it.
func ParseAddress(kind IdentityKind, text string) (address, why string) {
	text = strings.TrimSpace(text)
	switch {
	case !kind.Valid():
		return "", "there is no such kind of identity"
	case text == "":
		return "", "it is empty"
	case len(text) > maxAddress || !utf8.ValidString(text) || strings.ContainsFunc(text, unicode.IsControl):
		return "", "it is too long, or no text"
	}
	switch kind {
	case IdentityMail:
		return parseMail(text)
	case IdentityPhone:
		return parsePhone(text)
	default:
		if !platformID.MatchString(text) {
			return "", "an id of the platform has letters, digits and - _ . @ and no blanks"
		}
		return text, ""
	}
}

func parseMail(text string) (address, why string) {
	const form = "write a mail address alone, such as lin@example.com"
	parsed, err := mail.ParseAddress(text)
	if err != nil || parsed.Name != "" || parsed.Address != text {
		return "", form
	}
	local, domain, _ := cutLast(text, "@")
	if len(local) > 64 || !strings.Contains(domain, ".") || strings.ContainsAny(text, " \"<>") {
		return "", form
	}
	return local + "@" + strings.ToLower(domain), ""
}

func parsePhone(text string) (address, why string) {
	number := phoneMarks.Replace(text)
	switch {
	case chineseMobile.MatchString(number):
		number = "+86" + number
	case strings.HasPrefix(number, "00"):
		number = "+" + number[2:]
	}
	if !phoneForm.MatchString(number) {
		return "", "write a phone number with its country code, such as +8613800000001"
	}
	return number, ""
}

func cutLast(s, sep string) (before, after string, ok bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}

// SameAddress is the form by which two addresses are taken for one: mail providers do
// not tell capitals apart, although the standard lets them.
func SameAddress(kind IdentityKind, address string) string {
	if kind == IdentityMail || kind == IdentityWecomUser {
		return strings.ToLower(address)
	}
	return address
}

// MaskAddress shows enough of an address to recognise it, and too little to use it.
func MaskAddress(kind IdentityKind, address string) string {
	if address == "" {
		return ""
	}
	runes := []rune(address)
	switch {
	case kind == IdentityMail:
		local, domain, _ := cutLast(address, "@")
		return string([]rune(local)[:1]) + "***@" + domain
	case len(runes) < 9:
		return "***"
	case kind == IdentityPhone:
		return string(runes[:len(runes)-8]) + "****" + string(runes[len(runes)-4:])
	}
	return string(runes[:4]) + "***" + string(runes[len(runes)-2:])
}
