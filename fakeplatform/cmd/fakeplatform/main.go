// Command fakeplatform runs the fake platform on this machine, to develop campaigns
// against: WeCom's API, a gateway for texts and, at its root, a page of what everybody received.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"time"

	"github.com/banyanhq/banyan/fakeplatform"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "fakeplatform:", err)
		os.Exit(1)
	}
}

func run() error {
	listen := flag.String("listen", "127.0.0.1:8090", "where it listens")
	corp := flag.String("corp", "ww0123456789abcdef", "the corp id")
	secret := flag.String("secret", "a secret of the fake platform", "the app's secret")
	agent := flag.Int("agent", 1000002, "the app's number")
	staff := flag.String("staff", "ZhangSan,LiSi,WuMei", "the userids whom the app can see, separated by commas")
	texts := flag.String("sms-secret", "a secret of the fake gateway for texts", "the secret of the gateway for texts")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	platform := fakeplatform.New(fakeplatform.Options{
		Corp: *corp, Secret: *secret, Agent: *agent, Staff: strings.Split(*staff, ","),
		SMS: fakeplatform.SMSAccount{GatewaySecret: *texts},
	})
	defer platform.Close()
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", *listen)
	if err != nil {
		return err
	}
	fmt.Printf(`What people received: http://%[1]s

Settings of banyan serve and banyan worker:
  BANYAN_WECOM_URL=http://%[1]s
  BANYAN_WECOM_CORP=%[2]s
  BANYAN_WECOM_SECRET=%[3]q
  BANYAN_WECOM_AGENT=%[4]d
  BANYAN_SMS_PROVIDER=gateway
  BANYAN_SMS_URL=http://%[1]s/sms
  BANYAN_SMS_SECRET=%[5]q
  BANYAN_SMS_ALLOW_PRIVATE=true
`, listener.Addr(), *corp, *secret, *agent, *texts)
	server := &http.Server{Handler: platform, ReadHeaderTimeout: 5 * time.Second}
	go func() {
		<-ctx.Done()
		_ = server.Close()
	}()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
