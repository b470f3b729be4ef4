package main

import (
	"strings"

	"github.com/banyanhq/banyan/campaign"
	"github.com/banyanhq/banyan/channels/sms"
)

// smsTemplates reads a file of approved templates, and gives the function that lists which
// messages of a campaign fit none of them; nil where no file is named. What the installation
// is told of opting out holds here too.
func smsTemplates(e *env, file string) (misfits func(*campaign.Definition) []string, err error) {
	if file == "" {
		return nil, nil
	}
	text, err := readFile(e, file)
	if err != nil {
		return nil, err
	}
	templates, err := sms.ParseTemplates(text)
	if err != nil {
		return nil, campaign.Errorf(campaign.CodeInvalid, "%s: %w", file, err)
	}
	r := reader{getenv: e.Getenv}
	wording := sms.Wording{Sign: r.setting("BANYAN_SMS_SIGN"), OptOut: r.setting("BANYAN_SMS_OPT_OUT"), OptOutText: r.setting("BANYAN_SMS_OPT_OUT_TEXT")}
	if r.err == nil {
		r.err = wording.Check()
	}
	return func(def *campaign.Definition) (names []string) {
		for _, name := range def.MessagesBy(sms.Name) {
			m, ok := def.Message(name)
			if ok && !sms.Fits(templates, wording, m) {
				names = append(names, name)
			}
		}
		return names
	}, r.err
}

// noTemplate says what is wrong with messages that fit no template.
func noTemplate(names []string) string {
	return "no approved template gives the text by sms of: " + strings.Join(names, ", ") +
		"; take what is filled in to be the parameters, and write the rest as it was approved"
}
