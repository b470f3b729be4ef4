package devstack

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
)

const loopback = "127.0.0.1"

// Ports come from below the range from which systems give ports to outgoing connections
// (Linux from 32768, macOS from 49152). A client that keeps dialling a loopback port of
// that range while its server is down can be handed the very port it dials, connect to
// itself, and hold the port against the server's return.
const (
	firstPort = 20000
	lastPort  = 32000
)

// choosePort gives the first of the preferred ports that is free, or else any free one.
// Zero among the preferred means nothing.
func choosePort(ctx context.Context, preferred ...int) (int, error) {
	for _, port := range preferred {
		if port != 0 && portIsFree(ctx, port) {
			return port, nil
		}
	}
	for range 200 {
		port := firstPort + rand.IntN(lastPort-firstPort)
		if portIsFree(ctx, port) {
			return port, nil
		}
	}
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	return 0, fmt.Errorf("no free port found on %s between %d and %d", loopback, firstPort, lastPort)
}

// portIsFree says whether a loopback port can be listened on right now.
func portIsFree(ctx context.Context, port int) bool {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", address(port))
	if err != nil {
		return false
	}
	return listener.Close() == nil
}

// address is a loopback port as host:port.
func address(port int) string { return net.JoinHostPort(loopback, strconv.Itoa(port)) }
