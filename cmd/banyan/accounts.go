package main

import (
	"context"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/banyanhq/banyan/channels"
	"github.com/banyanhq/banyan/channels/all"
	"github.com/banyanhq/banyan/channels/call"
	"github.com/banyanhq/banyan/channels/console"
	"github.com/banyanhq/banyan/channels/mail"
	"github.com/banyanhq/banyan/channels/miniprogram"
	"github.com/banyanhq/banyan/channels/officialaccount"
	"github.com/banyanhq/banyan/channels/refund"
	"github.com/banyanhq/banyan/channels/sms"
	"github.com/banyanhq/banyan/channels/webhook"
	"github.com/banyanhq/banyan/channels/wecom"
	"github.com/banyanhq/banyan/channels/wecom/app"
	"github.com/banyanhq/banyan/channels/weixin"
	"github.com/banyanhq/banyan/optout"
	"github.com/banyanhq/banyan/starter"
	"github.com/banyanhq/banyan/store"
)

// reader reads settings, each from the environment or from a file that the environment
// names, as secrets are handed to containers. It keeps the first thing that was wrong.
type reader struct {
	getenv func(string) string
	err    error
}

// maxSetting bounds a file with a setting: the longest is a list of keys.
const maxSetting = 64 << 10

// setting reads NAME, or the file that NAME_FILE names, without blanks at its ends.
func (r *reader) setting(name string) string {
	value, path := r.getenv(name), r.getenv(name+"_FILE")
	if path == "" {
		return value
	}
	if value != "" {
		r.fail(name + " and " + name + "_FILE are both set: use one")
		return ""
	}
	text, err := os.ReadFile(path)
	switch {
	case err != nil:
		r.fail(name + "_FILE names a file that cannot be read: " + path)
	case len(text) > maxSetting:
		r.fail(name + "_FILE names a file of more than 64 KiB: " + path)
	case strings.TrimSpace(string(text)) == "":
		r.fail(name + "_FILE names an empty file: " + path)
	default:
		return strings.TrimSpace(string(text))
	}
	return ""
}

// maxTemplates bounds a file of approved templates: a thousand of the longest.
const maxTemplates = 4 << 20

// file reads the file that a setting names; nil where it is not set.
func (r *reader) file(name string) []byte {
	path := r.getenv(name)
	if path == "" {
		return nil
	}
	text, err := os.ReadFile(path)
	switch {
	case err != nil:
		r.fail(name + " names a file that cannot be read: " + path)
	case len(text) > maxTemplates:
		r.fail(name + " names a file of more than 4 MiB: " + path)
	case strings.TrimSpace(string(text)) == "":
		r.fail(name + " names an empty file: " + path)
	default:
		return text
	}
	return nil
}

// yes reads a setting that is true or false.
func (r *reader) yes(name string) bool {
	value := r.setting(name)
	if value == "" {
		return false
	}
	yes, err := strconv.ParseBool(value)
	if err != nil {
		r.fail(name + " is true or false, not " + strconv.Quote(value))
	}
	return yes
}

// count reads a whole number above 0; 0 where it is not set.
func (r *reader) count(name string) int {
	value := r.setting(name)
	if value == "" {
		return 0
	}
	n, err := strconv.Atoi(value)
	if err != nil || n < 1 || n > 1000 {
		r.fail(name + " is a number from 1 to 1000, not " + strconv.Quote(value))
		return 0
	}
	return n
}

// number reads a whole number above 0; 0 where it is not set.
func (r *reader) number(name string) int {
	value := r.setting(name)
	if value == "" {
		return 0
	}
	n, err := strconv.ParseInt(value, 10, 32)
	if err != nil || n < 1 {
		r.fail(name + " is a number, not " + strconv.Quote(value))
		return 0
	}
	return int(n)
}

func (r *reader) fail(why string) {
	if r.err == nil {
		r.err = usageError{why}
	}
}

// readChannels reads the accounts of the channels, and what links to members are made of.
func readChannels(e *env) (cfg all.Config, links optout.Links, err error) {
	r := reader{getenv: e.Getenv}
	publicURL, secret := r.setting("BANYAN_PUBLIC_URL"), r.setting("BANYAN_LINK_SECRET")
	cfg = all.Config{
		Default: r.setting("BANYAN_CHANNEL"), Console: console.Config{Out: e.Stdout},
		Webhook: webhook.Config{
			URL: r.setting("BANYAN_WEBHOOK_URL"), Secret: r.setting("BANYAN_WEBHOOK_SECRET"), AllowPrivate: r.yes("BANYAN_WEBHOOK_ALLOW_PRIVATE"),
		},
		Mail: mail.Config{
			URL: r.setting("BANYAN_MAIL_URL"), Password: r.setting("BANYAN_MAIL_PASSWORD"), From: r.setting("BANYAN_MAIL_FROM"),
			AllowPlain: r.yes("BANYAN_MAIL_ALLOW_PLAIN"), Connections: r.count("BANYAN_MAIL_CONNECTIONS"),
		},
		SMS: sms.Config{
			Provider: r.setting("BANYAN_SMS_PROVIDER"), URL: r.setting("BANYAN_SMS_URL"), Sign: r.setting("BANYAN_SMS_SIGN"),
			Templates: r.file("BANYAN_SMS_TEMPLATES_FILE"), OptOut: r.setting("BANYAN_SMS_OPT_OUT"), OptOutText: r.setting("BANYAN_SMS_OPT_OUT_TEXT"),
			MaxParts: r.count("BANYAN_SMS_MAX_PARTS"), SecretID: r.setting("BANYAN_SMS_SECRET_ID"), SecretKey: r.setting("BANYAN_SMS_SECRET_KEY"),
			App: r.setting("BANYAN_SMS_APP"), Region: r.setting("BANYAN_SMS_REGION"),
			Secret: r.setting("BANYAN_SMS_SECRET"), AllowPrivate: r.yes("BANYAN_SMS_ALLOW_PRIVATE"),
		},
		WecomApp: app.Config{
			Account: wecom.Account{URL: r.setting("BANYAN_WECOM_URL"), Corp: r.setting("BANYAN_WECOM_CORP"), Secret: r.setting("BANYAN_WECOM_SECRET")},
			Agent:   r.number("BANYAN_WECOM_AGENT"),
		},
		OfficialAccount: officialaccount.Config{Account: weixin.Account{
			URL: r.setting("BANYAN_OFFICIALACCOUNT_URL"), App: r.setting("BANYAN_OFFICIALACCOUNT_APP"), Secret: r.setting("BANYAN_OFFICIALACCOUNT_SECRET"),
		}},
		MiniProgram: miniprogram.Config{
			Account: weixin.Account{
				URL: r.setting("BANYAN_MINIPROGRAM_URL"), App: r.setting("BANYAN_MINIPROGRAM_APP"), Secret: r.setting("BANYAN_MINIPROGRAM_SECRET"),
			},
			Templates: r.file("BANYAN_MINIPROGRAM_TEMPLATES_FILE"),
		},
		Call: call.Config{Secret: r.setting("BANYAN_CALL_SECRET"), Allow: r.setting("BANYAN_CALL_ALLOW")},
		Refund: refund.Config{
			URL: r.setting("BANYAN_REFUND_URL"), Secret: r.setting("BANYAN_REFUND_SECRET"), AllowPrivate: r.yes("BANYAN_REFUND_ALLOW_PRIVATE"),
		},
	}
	if r.err != nil {
		return cfg, links, r.err
	}
	if publicURL != "" || secret != "" {
		if links, err = optout.New(publicURL, secret); err != nil {
			return cfg, links, err
		}
	}
	cfg.Mail.Links = links
	return cfg, links, nil
}

// readReferralLinks reads where invitations may lead. Their links are signed with the secrets
// of the links to opt out, which have been checked.
func readReferralLinks(e *env, signed bool) (l starter.ReferralLinks, err error) {
	r := reader{getenv: e.Getenv}
	publicURL, secrets, hosts := r.setting("BANYAN_PUBLIC_URL"), r.setting("BANYAN_LINK_SECRET"), r.setting("BANYAN_REFERRAL_HOSTS")
	if r.err != nil {
		return l, r.err
	}
	if l.Hosts, err = starter.ParseReferralHosts(hosts); err != nil || !signed {
		return starter.ReferralLinks{}, err
	}
	l.Base = publicURL
	for secret := range strings.SplitSeq(secrets, ",") {
		l.Keys = append(l.Keys, []byte(strings.TrimSpace(secret)))
	}
	return l, nil
}

// checkLimit bounds the check of one channel.
const checkLimit = 15 * time.Second

// channelFindings asks the platform of each channel that is configured here whether it
// would take messages. Where none is configured, the doctor was called for the data alone.
func channelFindings(ctx context.Context, e *env) []store.Finding {
	cfg, _, err := readChannels(e)
	if err == nil && cfg.Webhook.URL == "" && cfg.Mail.URL == "" && cfg.SMS.Provider == "" && cfg.WecomApp.Account.Corp == "" &&
		cfg.OfficialAccount.Account.Secret == "" && cfg.MiniProgram.Account.Secret == "" {
		return nil
	}
	var set channels.Set
	if err == nil {
		set, _, err = all.Build(cfg)
	}
	if err != nil {
		return []store.Finding{{Check: "channels", Detail: err.Error()}}
	}
	var findings []store.Finding
	for _, name := range set.Names() {
		channel, _ := set.Get(name)
		ctx, cancel := context.WithTimeout(ctx, checkLimit)
		asked, err := channels.Check(ctx, channel)
		cancel()
		switch {
		case err != nil:
			findings = append(findings, store.Finding{Check: "channel " + name, Detail: err.Error()})
		case asked:
			findings = append(findings, store.Finding{Check: "channel " + name, OK: true, Detail: "its account is in order"})
		}
	}
	return findings
}

// addressFinding looks whether the key that is configured here opens the addresses.
func addressFinding(ctx context.Context, e *env, s *store.Store) []store.Finding {
	const check = "addresses"
	r := reader{getenv: e.Getenv}
	keys, err := store.ParseAddressKeys(r.setting("BANYAN_ADDRESS_KEY"))
	if r.err != nil {
		err = r.err
	}
	var sealed bool
	if err == nil {
		sealed, err = s.OpensAddresses(ctx, keys)
	}
	switch {
	case err != nil:
		return []store.Finding{{Check: check, Detail: err.Error()}}
	case sealed:
		return []store.Finding{{Check: check, OK: true, Detail: "they are sealed, and the key that is configured here opens them"}}
	}
	return []store.Finding{{Check: check, OK: true, Detail: "they are kept as they are: BANYAN_ADDRESS_KEY is not used"}}
}
