package main

import (
	"context"
	"io"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/banyanhq/banyan/devstack/devtest"
)

const staffNews = `
campaign: staffed
title: to the staff
events:
  order.paid: {order: string, offer: string, amount: money}
messages:
  news: {text: "{{ member.id }} has paid"}
journeys:
  way:
    start: {on: order.paid}
    goal: {on: order.paid, when: "false"}
    steps:
      - send: news
        via: wecom/app
`

// With a fake platform beside it, a campaign's message to the staff appears on the page of
// phones.
func TestDevWithAFakePlatform(t *testing.T) {
	t.Setenv("BANYAN_HOME", t.TempDir())
	t.Setenv("BANYAN_DATABASE_URL", devtest.Database(t))
	t.Setenv("TEMPORAL_ADDRESS", devtest.Temporal(t))
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	out := newWatched()
	ended := make(chan int, 1)
	args := []string{"dev", "--fake-platform", "--fake-platform-listen", "127.0.0.1:0"}
	go func() {
		ended <- execute(ctx, args, &env{Stdin: strings.NewReader(""), Stdout: out, Stderr: testLog{t}, Getenv: func(name string) string {
			if name == "BANYAN_LISTEN" {
				return "127.0.0.1:0"
			}
			return os.Getenv(name)
		}})
	}()
	phones := out.wait(ctx, regexp.MustCompile(`Phones +(\S+) `))
	found := out.wait(ctx, regexp.MustCompile(`BANYAN_SERVER=(\S+) BANYAN_KEY=(\S+)`))
	if phones == nil || found == nil {
		t.Fatalf("it said:\n%s", out.text())
	}
	call := func(method, url, contentType, body string) string {
		t.Helper()
		request, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		request.Header.Set("Authorization", "Bearer "+found[2])
		request.Header.Set("Content-Type", contentType)
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = response.Body.Close() }()
		text, err := io.ReadAll(response.Body)
		if err != nil || response.StatusCode >= 300 {
			t.Fatalf("%s: %s, %v\n%s", url, response.Status, err, text)
		}
		return string(text)
	}
	const asJSON = "application/json"
	call("POST", found[1]+"/v1/campaigns", "application/yaml", staffNews)
	call("POST", found[1]+"/v1/campaigns/staffed/start", asJSON, "{}")
	call("PUT", found[1]+"/v1/members/m-1", asJSON, "{}")
	call("PUT", found[1]+"/v1/members/m-1/identities/wecom_userid?account="+platformCorp, asJSON, `{"address": "ZhangSan"}`)
	call("POST", found[1]+"/v1/events", asJSON, `{"id":"e-1","type":"order.paid","member":"m-1","time":"`+time.Now().Format(time.RFC3339)+
		`","properties":{"order":"o-1","offer":"x","amount":"1.00"}}`)
	for page := ""; !strings.Contains(page, "m-1 has paid"); page = call("GET", phones[1], asJSON, "") {
		select {
		case <-ctx.Done():
			t.Fatalf("the phones show\n%s", page)
		case <-time.After(50 * time.Millisecond):
		}
	}
	stop()
	if status := <-ended; status != exitDone {
		t.Errorf("it ended with status %d", status)
	}
}
