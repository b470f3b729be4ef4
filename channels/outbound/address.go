package outbound

import (
	"context"
	"errors"
	"net/netip"
	"syscall"
)

// ReasonPrivate is the reason of a failure to connect to an address that is not a public one.
const ReasonPrivate = "private_address"

var errPrivate = errors.New("the address is not a public one")

// refusing stands between the resolver and the connection: it sees the address that is
// really dialled, so a name that changes its address after it was checked (DNS
// rebinding) gains nothing.
func refusing(allowed func(netip.Addr) bool) func(context.Context, string, string, syscall.RawConn) error {
	return func(_ context.Context, _, address string, _ syscall.RawConn) error {
		if ap, err := netip.ParseAddrPort(address); err != nil || !allowed(ap.Addr()) {
			return errPrivate
		}
		return nil
	}
}

// Addresses that are not public, by the special-purpose registries of IANA (RFC 6890),
// beside those that netip knows: private, loopback, link-local, multicast, unspecified.
var special = prefixes(
	"0.0.0.0/8",        // this network
	"100.64.0.0/10",    // carrier NAT; Alibaba Cloud's metadata is 100.100.100.200
	"168.63.129.16/32", // Azure's platform service, reachable from inside alone
	"192.0.0.0/24",     // protocol assignments; Oracle Cloud's metadata is 192.0.0.192
	"192.0.2.0/24",     // documentation
	"192.88.99.0/24",   // 6to4 relays
	"198.18.0.0/15",    // benchmarks
	"198.51.100.0/24",  // documentation
	"203.0.113.0/24",   // documentation
	"240.0.0.0/4",      // reserved and broadcast
	"2001::/23",        // protocol assignments, Teredo among them
	"2001:db8::/32",    // documentation
	"2002::/16",        // 6to4: an IPv4 address in disguise
	"3fff::/20",        // documentation
)

var (
	globalV6 = netip.MustParsePrefix("2000::/3")     // all that has been given out
	nat64    = netip.MustParsePrefix("64:ff9b::/96") // the IPv4 internet, as IPv6-only hosts see it
)

// Plain brings an address to one form: ::ffff:10.0.0.1 is 10.0.0.1, as is the address by
// which an IPv6-only host reaches it, and a prefix contains no zoned address.
func Plain(a netip.Addr) netip.Addr {
	a = a.Unmap().WithZone("")
	if nat64.Contains(a) {
		b := a.As16()
		a = netip.AddrFrom4([4]byte(b[12:]))
	}
	return a
}

// Public reports whether an address belongs to the internet at large.
func Public(a netip.Addr) bool {
	a = Plain(a)
	if !a.IsGlobalUnicast() || a.IsPrivate() || (a.Is6() && !globalV6.Contains(a)) {
		return false
	}
	for _, p := range special {
		if p.Contains(a) {
			return false
		}
	}
	return true
}

func prefixes(texts ...string) []netip.Prefix {
	list := make([]netip.Prefix, len(texts))
	for i, text := range texts {
		list[i] = netip.MustParsePrefix(text)
	}
	return list
}
