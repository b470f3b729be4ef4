// Package weixin speaks the API of WeChat's official accounts (公众号) and mini programs (小程序)
// for the channels that send by one. Their answers, their limits on calls and the care of a token are alike with
// WeCom's, so the client is that of package wecom; what is WeChat's own stands here.
package weixin

import (
	"cmp"
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/channels"
	"github.com/banyanhq/banyan/channels/wecom"
)

// DefaultURL is where WeChat's API is.
const DefaultURL = "https://api.weixin.qq.com"

// Account is one account of WeChat.
type Account struct {
	URL    string // DefaultURL unless set
	App    string // its app id (AppID)
	Secret string // its AppSecret
	// Timeout bounds one call; zero is wecom.DefaultTimeout.
	Timeout time.Duration
	Tokens  wecom.Tokens // nil: this process's own
}

// String shows the app id and nothing secret.
func (a Account) String() string { return "weixin " + a.App }

// GoString is String, for %#v.
func (a Account) GoString() string { return a.String() }

// LogValue is String, for slog.
func (a Account) LogValue() slog.Value { return slog.StringValue(a.String()) }

// Client calls the API for one account. It is safe for concurrent use.
type Client struct {
	*wecom.Client
	app, settings string
}

// NewClient checks the account. It touches no network. Settings is how the names of its
// settings begin after BANYAN_, such as OFFICIALACCOUNT. Errors never quote a secret.
func NewClient(a Account, settings string) (*Client, error) {
	settings = "BANYAN_" + settings
	switch {
	case a.App == "" || strings.ContainsAny(a.App, " \t\n"):
		return nil, campaign.Errorf(campaign.CodeInvalid, "%s_APP is the account's AppID, such as wx0123456789abcdef", settings)
	case a.Secret == "":
		return nil, campaign.Errorf(campaign.CodeInvalid, "%s_SECRET is the account's AppSecret", settings)
	}
	// stable_token gives everybody the same token while it is valid, so that another program
	// with this account does not end ours, as it would with the older API.
	body, err := json.Marshal(map[string]string{"grant_type": "client_credential", "appid": a.App, "secret": a.Secret})
	if err != nil {
		return nil, campaign.Errorf(campaign.CodeInvalid, "%s_SECRET cannot be sent", settings)
	}
	client, err := wecom.Speak(wecom.Dialect{
		URL: cmp.Or(a.URL, DefaultURL), Setting: settings + "_URL", Name: "weixin/" + a.App, Timeout: a.Timeout, Tokens: a.Tokens, Judge: judge,
		Grant: func() wecom.Grant {
			return wecom.Grant{Method: http.MethodPost, Path: "/cgi-bin/stable_token", Body: body}
		},
	})
	if err != nil {
		return nil, err
	}
	return &Client{client, a.App, settings}, nil
}

// App is the account's app id.
func (c *Client) App() string { return c.app }

// judge says what those codes mean that WeCom has not, or has otherwise.
func judge(code int) (*channels.Failure, bool) {
	switch code {
	case 40125, 40164, 40243, 48004, 48006, 50005, 89501, 89503, 89506: // secret, address not on the list, frozen, taken away, not confirmed
		return channels.Misconfigured(wecom.Reason(code), nil), true
	case 43004, 43019, 43101, 45015, 45047:
		// She does not follow, is on the account's blacklist, has given no permit, or has done
		// nothing that allows a message: not now, and not by this way. She is not marked,
		// because nobody would tell us when that changes.
		return channels.Refuse(wecom.Reason(code), nil), true
	}
	return nil, false
}

// Check gets a token, and says what to do where there is none.
func (c *Client) Check(ctx context.Context) error {
	f := c.Ask(ctx)
	if f == nil {
		return nil
	}
	what := "WeChat does not take this account (" + f.Reason + "): "
	switch f.Reason {
	case "errcode_40013":
		what += "there is no such account; mend " + c.settings + "_APP"
	case "errcode_40125", "errcode_40001":
		what += "the secret is not this account's; mend " + c.settings + "_SECRET"
	case "errcode_40164":
		what += "this machine's public address is not on the account's list (IP白名单); add it at the vendor's"
	case "errcode_40243":
		what += "its AppSecret is frozen (已冻结); unfreeze it at the vendor's"
	case "errcode_50005", "errcode_48004":
		what += "the vendor has blocked it; look for its notice at the vendor's"
	case "errcode_89501", "errcode_89503", "errcode_89506":
		what += "its administrator must confirm calls from this machine's address; WeChat has asked her, or will in an hour"
	case "tls":
		what += "its certificate is not valid for this name, or nobody here trusts who signed it"
	case "dns", "connection_refused", "network", "unreachable", channels.ReasonTimeout:
		what += "it cannot be reached; is " + c.settings + "_URL right, and does a firewall let this machine connect to it?"
	default:
		what += "look its code up in the vendor's list of error codes"
	}
	return campaign.Errorf(campaign.CodeInvalid, "%s", what)
}
