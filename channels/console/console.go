// Package console is the channel for demos and for trying a campaign at a desk: it
// prints one line for each message and reaches nobody.
package console

import (
	"context"
	"crypto/sha256"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/banyanhq/banyan/channels"
)

// Name is the channel's name in `via`.
const Name = "console"

// rememberedKeys bounds what the channel remembers. A key costs about 100 bytes in the
// map and the ring, so this is below 2 MiB; retries come within minutes, in which a demo
// sends some hundreds of messages.
const rememberedKeys = 16_384

// Config says where lines go.
type Config struct {
	// Out takes the lines; nil leaves the channel out of an installation.
	Out io.Writer
	// Quiet takes messages without printing them, for load runs.
	Quiet bool
}

// Channel prints messages. It is idempotent as far as its memory goes: a key is printed
// once in the life of a process, as long as it is among the last 16,384.
type Channel struct {
	out   io.Writer
	quiet bool

	// turn is a lock that can be waited for with a context: a writer that blocks must
	// not hold those who stop waiting.
	turn chan struct{}
	seen map[[sha256.Size]byte]struct{}
	ring [][sha256.Size]byte // the keys of seen, the oldest at next once it is full
	next int
}

// New makes the channel.
func New(cfg Config) *Channel {
	out := cfg.Out
	if out == nil {
		out = io.Discard
	}
	return &Channel{
		out: out, quiet: cfg.Quiet,
		turn: make(chan struct{}, 1), seen: make(map[[sha256.Size]byte]struct{}),
	}
}

// Name gives "console".
func (c *Channel) Name() string { return Name }

// Idempotent is true: a line that a new process prints again reaches nobody twice,
// because the console reaches nobody.
func (c *Channel) Idempotent() bool { return true }

// Deliver prints the message. A writer that takes nothing is worth another try; of one
// that takes a part of the line nobody knows what was seen.
func (c *Channel) Deliver(ctx context.Context, m channels.Message) (channels.Receipt, error) {
	if err := channels.Ready(ctx, m, time.Now()); err != nil {
		return channels.Receipt{}, err
	}
	ctx, cancel := channels.WithDeadline(ctx, m)
	defer cancel()
	select {
	case c.turn <- struct{}{}:
		defer func() { <-c.turn }()
	case <-ctx.Done():
		if reason := channels.ContextReason(ctx); reason == channels.ReasonDeadline {
			return channels.Receipt{}, channels.Refuse(reason, ctx.Err())
		}
		return channels.Receipt{}, channels.TryAgain(channels.ContextReason(ctx), 0, ctx.Err())
	}

	key := sha256.Sum256([]byte(m.Key))
	if _, again := c.seen[key]; again {
		return channels.Receipt{}, nil
	}
	if !c.quiet {
		text := line(m)
		switch n, err := io.WriteString(c.out, text); {
		case err == nil || n == len(text): // all of it is out, whatever else went wrong
		case n == 0:
			return channels.Receipt{}, channels.TryAgain("write_failed", 0, nil)
		default:
			return channels.Receipt{}, channels.Unknown("write_broken", nil)
		}
	}
	c.remember(key)
	return channels.Receipt{}, nil
}

func (c *Channel) remember(key [sha256.Size]byte) {
	c.seen[key] = struct{}{}
	if len(c.ring) < rememberedKeys {
		c.ring = append(c.ring, key)
		return
	}
	delete(c.seen, c.ring[c.next])
	c.ring[c.next] = key
	c.next = (c.next + 1) % rememberedKeys
}

// line writes time, channel, member, message and body. The time is the campaign's own.
func line(m channels.Message) string {
	channel := m.Channel
	if channel == "" {
		channel = Name
	}
	fields := []string{
		m.At.Format("2006-01-02 15:04:05"), printable(channel), printable(m.Member), printable(m.Name), printable(m.Body),
	}
	return strings.Join(fields, "  ") + "\n"
}

// printable escapes what is no visible character: a body with a line break must stay
// one line, and a member's name must not steer the terminal. The joiner inside composed
// emoji is invisible too, but belongs to them.
func printable(s string) string {
	const joiner = '\u200d'
	var b strings.Builder
	for _, r := range s {
		if unicode.IsPrint(r) || r == joiner {
			b.WriteRune(r)
			continue
		}
		quoted := strconv.QuoteRune(r)
		b.WriteString(quoted[1 : len(quoted)-1])
	}
	return b.String()
}
