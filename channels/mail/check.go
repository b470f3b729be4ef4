package mail

import (
	"context"
	"strings"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/channels"
)

// Check connects, encrypts and logs in, asks whether the sender may send, and sends nothing.
func (c *Channel) Check(ctx context.Context) error {
	s, f := c.dial(ctx)
	if f != nil {
		return c.advice(f, stageConnect)
	}
	defer s.close()
	defer s.watch(ctx)()
	if err := s.client.Mail("<" + c.from.Address + ">"); err != nil {
		return c.advice(failure(ctx, stageSender, err), stageSender)
	}
	_ = s.client.Reset() // nothing is to be sent; a server that minds hears no more from us
	_ = s.client.Quit()
	return nil
}

// advice is a failure for the person who set the channel up.
func (c *Channel) advice(f *channels.Failure, at stage) error {
	what := "the mail server " + c.address + " cannot be used (" + f.Reason + "): "
	switch {
	case f.Reason == reasonNoTLS:
		what += "it offers no encryption; use its port for it (smtps://…:465), or set BANYAN_MAIL_ALLOW_PLAIN=true if it stands in your own network"
	case f.Reason == reasonLogin:
		what += "it offers no way to log in that is safe here; is the port right?"
	case f.Reason == "tls":
		what += "its certificate is not valid for this name, or nobody here trusts who signed it"
	case f.Reason == "dns":
		what += "there is no such name; mend BANYAN_MAIL_URL"
	case f.Class == channels.ClassConfig && at == stageSender:
		what += "it does not let us write as the address in BANYAN_MAIL_FROM"
	case f.Class == channels.ClassConfig:
		what += "it does not let us in; are user and password right? Many providers want a password made for programs"
	case strings.HasPrefix(f.Reason, "smtp_4"):
		what += "it asks us to come again later"
	default:
		what += "does it run, and does a firewall let this machine connect to it?"
	}
	return campaign.Errorf(campaign.CodeInvalid, "%s", what)
}
