package sms

import (
	"cmp"
	"log/slog"
	"time"

	"github.com/banyanhq/banyan/campaign"
)

// Providers, by the names that BANYAN_SMS_PROVIDER has for them.
const (
	ProviderTencent = "tencent"
	ProviderGateway = "gateway"
)

const (
	// DefaultTimeout bounds one delivery. An attempt to send may take 15 seconds in all, and
	// what ends without an answer may have been sent, so most of them are waited for.
	DefaultTimeout = 10 * time.Second

	maxConnections = 64
)

// Config is the channel's section. An empty Provider leaves the channel out.
type Config struct {
	Provider string // tencent or gateway
	URL      string // of the API: TencentURL unless set; of the gateway: required
	Sign     string // the signature's name, without 【】
	// Templates is the text of a file of approved templates; see ParseTemplates. Required
	// for Tencent.
	Templates []byte
	OptOut    string // append unless set
	// OptOutText are the words by which people opt out; DefaultOptOutText unless set.
	OptOutText string
	// MaxParts bounds what one message may cost; 0: as many parts as the provider takes.
	MaxParts int
	// Timeout bounds one delivery; zero is DefaultTimeout.
	Timeout time.Duration

	// SecretID, SecretKey, App and Region are Tencent's.
	SecretID, SecretKey string
	App                 string // SdkAppId
	Region              string // DefaultRegion unless set

	// Secret signs what goes to the gateway: up to three, separated by commas.
	Secret string
	// AllowPrivate permits a gateway in a private network or on this machine.
	AllowPrivate bool
}

// String shows who the provider is and nothing secret.
func (c Config) String() string { return "sms by " + cmp.Or(c.Provider, "nobody") }

// GoString is String, for %#v.
func (c Config) GoString() string { return c.String() }

// LogValue is String, for slog.
func (c Config) LogValue() slog.Value { return slog.StringValue(c.String()) }

// New checks the configuration and makes the channel. It touches no network. Errors name
// the settings and never quote a secret.
func New(cfg Config) (*Channel, error) {
	invalid := func(format string, args ...any) (*Channel, error) {
		return nil, campaign.Errorf(campaign.CodeInvalid, format, args...)
	}
	wording := Wording{Sign: cfg.Sign, OptOut: cfg.OptOut, OptOutText: cfg.OptOutText}
	if err := wording.Check(); err != nil {
		return nil, err
	}
	c := &Channel{wording: wording.plain(), maxParts: cfg.MaxParts, timeout: cmp.Or(cfg.Timeout, DefaultTimeout), now: time.Now}
	if len(cfg.Templates) > 0 {
		var err error
		if c.templates, err = ParseTemplates(cfg.Templates); err != nil {
			return invalid("BANYAN_SMS_TEMPLATES_FILE: %w", err)
		}
	}
	var err error
	switch cfg.Provider {
	case ProviderTencent:
		c.provider, err = newTencent(cfg, c.templates)
	case ProviderGateway:
		c.provider, err = newGateway(cfg)
	default:
		return invalid("BANYAN_SMS_PROVIDER is %s or %s", ProviderTencent, ProviderGateway)
	}
	if err != nil {
		return nil, err
	}
	return c, nil
}
