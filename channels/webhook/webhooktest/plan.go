package webhooktest

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"time"
)

// Fault is one way to misbehave.
type Fault string

// Faults. The first three take the message, so that it is in Delivered.
const (
	FaultNone     Fault = ""
	FaultDrop     Fault = "drop"     // takes the message and hangs up without an answer
	FaultSlow     Fault = "slow"     // takes the message and answers after Options.Delay
	FaultStall    Fault = "stall"    // takes the message and never answers
	FaultLose     Fault = "lose"     // hangs up without having taken it
	FaultThrottle Fault = "throttle" // 429 with Retry-After
	FaultFail     Fault = "fail"     // 500
	FaultRefuse   Fault = "refuse"   // 422
)

func (f Fault) takes() bool {
	return f == FaultNone || f == FaultDrop || f == FaultSlow || f == FaultStall
}

// Share is how often a plan chooses a fault: 0.1 is one request in ten.
type Share struct {
	Fault Fault
	Of    float64
}

// Plan misbehaves by chance that can be repeated: the fault of a key's nth request
// depends on the seed, the key and n, and not on which goroutine came first.
type Plan struct {
	Seed   uint64
	Shares []Share // together at most 1; the rest goes well
	// Faults bounds how often one key meets a fault, so that every message gets through
	// in the end; zero is 3.
	Faults int
}

// fault chooses for the nth request of a key, counted from 0, that has met so many
// faults before.
func (p Plan) fault(key string, n, met int) Fault {
	limit := p.Faults
	if limit == 0 {
		limit = 3
	}
	if met >= limit {
		return FaultNone
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%d/%d/%s", p.Seed, n, key))
	// 53 bits are what a float64 holds exactly: a number from 0 up to, not including, 1.
	chance := float64(binary.BigEndian.Uint64(sum[:8])>>11) / (1 << 53)
	for _, share := range p.Shares {
		if chance < share.Of {
			return share.Fault
		}
		chance -= share.Of
	}
	return FaultNone
}

// Options says how a receiver behaves. The zero Options takes everything, unsigned.
type Options struct {
	// Secret verifies signatures; empty takes unsigned requests.
	Secret string
	// Tolerance is the one of webhook.Verify; zero is webhook.DefaultTolerance.
	Tolerance time.Duration
	// Now is the receiver's clock; nil is time.Now.
	Now func() time.Time
	// Plan misbehaves; the zero Plan never does.
	Plan Plan
	// RetryAfter is what FaultThrottle asks for, in whole seconds; zero is one second.
	RetryAfter time.Duration
	// Delay is how long FaultSlow waits; zero is 100 ms.
	Delay time.Duration
	// Taken is called after every request that was taken, whether or not it is answered,
	// with how often its key has been by then; nil is nobody. It must not block.
	Taken func(Record)
	// Journal is a file to which every taken message is appended before it is
	// answered, and from which a receiver that starts again knows what it has. Empty
	// keeps all in memory.
	Journal string
}
