package outbound

import (
	"errors"
	"net/netip"
	"testing"
)

func TestPublic(t *testing.T) {
	for text, want := range map[string]bool{
		"1.1.1.1": true, "119.29.29.29": true, "172.32.0.1": true, "100.128.0.1": true, "2400:3200::1": true,
		"::ffff:1.1.1.1": true, "64:ff9b::1.1.1.1": true,

		"0.0.0.0": false, "0.1.2.3": false, "10.0.0.1": false, "172.16.0.1": false, "192.168.1.1": false,
		"127.0.0.1": false, "127.8.8.8": false, "169.254.169.254": false, "100.64.0.1": false,
		"100.100.100.200": false, "168.63.129.16": false, "192.0.0.192": false, "198.18.0.1": false,
		"203.0.113.7": false, "224.0.0.1": false, "240.0.0.1": false, "255.255.255.255": false,
		"::": false, "::1": false, "fe80::1": false, "fe80::1%eth0": false, "fc00::1": false,
		"fd00:ec2::254": false, "fec0::1": false, "ff02::1": false, "2001:db8::1": false, "2001::1": false,
		"::ffff:10.0.0.1": false, "::ffff:127.0.0.1": false, "::ffff:169.254.169.254": false,
		"::7f00:1": false, "64:ff9b::10.0.0.1": false, "64:ff9b:1::1.1.1.1": false, "2002:7f00:1::": false,
	} {
		if got := Public(netip.MustParseAddr(text)); got != want {
			t.Errorf("Public(%s) = %v, want %v", text, got, want)
		}
	}
}

func TestRefusePrivateRefusesWhatItCannotRead(t *testing.T) {
	for address, private := range map[string]bool{
		"1.1.1.1:443": false, "[2400:3200::1]:443": false,
		"127.0.0.1:80": true, "[::1]:80": true, "[fe80::1%eth0]:80": true, "[::ffff:10.0.0.1]:80": true,
		"": true, "host:80": true, "/run/socket": true,
	} {
		err := refusing(Public)(t.Context(), "tcp", address, nil)
		if errors.Is(err, errPrivate) != private {
			t.Errorf("refusing(Public)(%q) = %v", address, err)
		}
	}
}
