// Package callbacks reads what platforms tell on their own account: WeCom, official accounts,
// mini programs and WeChat Pay. It proves that a callback is theirs, opens it, and says which
// events it is for Banyan. It keeps nothing and calls nobody.
package callbacks

import (
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"github.com/banyanhq/banyan/campaign"
)

// Channel is a platform that calls back, as the path of a callback names it.
type Channel string

// Channels that call back.
const (
	Wecom           Channel = "wecom"
	OfficialAccount Channel = "officialaccount"
	MiniProgram     Channel = "miniprogram"
	Pay             Channel = "wechatpay"
)

// Path begins the address of every callback: what follows is the channel and the account.
const Path = "/callbacks/"

// MaxBody bounds what is read of a callback: the longest text of a message is 2,048 bytes, and
// a list of what changed in a group of 500 has 20 KiB.
const MaxBody = 256 << 10

// Reasons for which a callback is refused. None of them quotes what was sent.
var (
	ErrForm      = errors.New("it does not have the form of a callback")
	ErrSignature = errors.New("its signature was not made with this account's token or key")
	ErrStale     = errors.New("its timestamp is more than five minutes away from this machine's clock")
	ErrReceiver  = errors.New("it is meant for another account")
	ErrSealed    = errors.New("this account's key does not open it")
)

// Reason is one word for why a callback was refused, for logs and counters.
func Reason(err error) string {
	for is, word := range map[error]string{
		ErrForm: "form", ErrSignature: "signature", ErrStale: "stale", ErrReceiver: "receiver", ErrSealed: "sealed",
	} {
		if errors.Is(err, is) {
			return word
		}
	}
	return "other"
}

// Request is a callback as it came.
type Request struct {
	Query  url.Values
	Header http.Header
	Body   []byte
	Now    time.Time
}

// Opened is a callback that is the platform's own.
type Opened struct {
	Payload []byte // what was encrypted, whole
	Sort    string // what the envelope says of it: the event_type of WeChat Pay; else empty
}

// Endpoint takes the callbacks of one account.
type Endpoint interface {
	// Echo answers the platform's question whether the address is ours.
	Echo(q url.Values) (string, error)
	// Open proves that a callback is the platform's, and opens it.
	Open(r *Request) (Opened, error)
}

// Account is one account that calls back.
type Account struct {
	Channel Channel
	ID      string // corp id, app id, or the merchant's number
	Token   string // as it was entered at the vendor's; none for WeChat Pay
	Key     string // EncodingAESKey; for WeChat Pay the APIv3 key
	// Verifiers are what WeChat Pay signs with.
	Verifiers Verifiers
}

// String shows the channel and the account, and nothing secret.
func (a Account) String() string { return string(a.Channel) + " " + a.ID }

// GoString is String, for %#v.
func (a Account) GoString() string { return a.String() }

// LogValue is String, for slog.
func (a Account) LogValue() slog.Value { return slog.StringValue(a.String()) }

// Endpoints are the accounts of an installation. The zero value has none.
type Endpoints struct {
	byName map[name]Endpoint
	names  []name
}

type name struct {
	channel Channel
	account string
}

// New checks the accounts. Errors name the settings and quote no secret.
func New(accounts ...Account) (out Endpoints, err error) {
	out.byName = map[name]Endpoint{}
	for _, a := range accounts {
		var e Endpoint
		if a.Channel == Pay {
			e, err = newPay(a)
		} else {
			e, err = newEnvelope(a)
		}
		if err != nil {
			return Endpoints{}, err
		}
		n := name{a.Channel, a.ID}
		if out.byName[n] != nil {
			return Endpoints{}, campaign.Errorf(campaign.CodeInvalid, "the callbacks of %s are configured twice", a)
		}
		out.byName[n], out.names = e, append(out.names, n)
	}
	return out, nil
}

// Of finds the endpoint of an account.
func (e Endpoints) Of(channel Channel, account string) (Endpoint, bool) {
	found, ok := e.byName[name{channel, account}]
	return found, ok
}

// Paths lists where callbacks are taken, in the order in which accounts were given.
func (e Endpoints) Paths() (paths []string) {
	for _, n := range e.names {
		paths = append(paths, Path+string(n.channel)+"/"+n.account)
	}
	return paths
}
