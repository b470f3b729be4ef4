package main

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/banyanhq/banyan/channels/sms"
	"github.com/banyanhq/banyan/fakeplatform"
)

// The account that the fake platform of `banyan dev` has.
const (
	platformCorp   = "ww0123456789abcdef"
	platformSecret = "the fake platform's secret"
	platformAgent  = 1000002
	platformTexts  = "the secret of the fake platform's gateway for texts"
)

var platformStaff = []string{"ZhangSan", "LiSi", "WuMei"}

// devPlatform is a fake platform that runs in this process.
type devPlatform struct {
	url    string
	server *http.Server
	own    *fakeplatform.Platform
}

func startPlatform(ctx context.Context, address string) (*devPlatform, error) {
	listener, err := listen(ctx, "--fake-platform-listen", address)
	if err != nil {
		return nil, err
	}
	own := fakeplatform.New(fakeplatform.Options{
		Corp: platformCorp, Secret: platformSecret, Agent: platformAgent, Staff: platformStaff,
		SMS: fakeplatform.SMSAccount{GatewaySecret: platformTexts},
	})
	p := &devPlatform{
		url: apiURL(listener), own: own, server: &http.Server{Handler: own, ReadHeaderTimeout: 5 * time.Second},
	}
	go func() { _ = p.server.Serve(listener) }() // it ends with close
	return p, nil
}

// settings are those by which the programs use it. Texts go to its gateway: approved
// templates hold here only where the environment names them.
func (p *devPlatform) settings() map[string]string {
	return map[string]string{
		"BANYAN_WECOM_URL": p.url, "BANYAN_WECOM_CORP": platformCorp, "BANYAN_WECOM_SECRET": platformSecret,
		"BANYAN_WECOM_AGENT":  strconv.Itoa(platformAgent),
		"BANYAN_SMS_PROVIDER": sms.ProviderGateway, "BANYAN_SMS_URL": p.url + "/sms", "BANYAN_SMS_SECRET": platformTexts, "BANYAN_SMS_ALLOW_PRIVATE": "true",
	}
}

func (p *devPlatform) close() {
	p.own.Close()
	_ = p.server.Close()
}
