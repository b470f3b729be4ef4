package fakeplatform_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/banyanhq/banyan/fakeplatform"
)

// caller speaks to a platform as the written-down examples do, and shares no code with the
// channels.
type caller struct {
	*fakeplatform.Platform
	t   *testing.T
	url string
}

func start(t *testing.T, staff ...string) *caller {
	t.Helper()
	p := fakeplatform.New(fakeplatform.Options{Corp: "ww0123456789abcdef", Secret: "s3cret", Agent: 1000002, Staff: staff, Parallel: 2})
	server := httptest.NewServer(p)
	t.Cleanup(func() { p.Close(); server.Close() })
	return &caller{p, t, server.URL}
}

func (c *caller) get(path string) string {
	c.t.Helper()
	resp, err := http.Get(c.url + path)
	if err != nil {
		c.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, _ := io.ReadAll(resp.Body)
	return strings.TrimSpace(string(body))
}

func (c *caller) token() string {
	c.t.Helper()
	var got struct {
		Token string `json:"access_token"`
	}
	if err := json.Unmarshal([]byte(c.get("/cgi-bin/gettoken?corpid=ww0123456789abcdef&corpsecret=s3cret")), &got); err != nil {
		c.t.Fatal(err)
	}
	return got.Token
}

func (c *caller) post(token, body string) (answer string, err error) {
	resp, err := http.Post(c.url+"/cgi-bin/message/send?access_token="+token, "application/json", strings.NewReader(body))
	if err != nil {
		return "", err
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	return strings.TrimSpace(string(text)), err
}

func (c *caller) send(token, to, text string) (code int) {
	c.t.Helper()
	body, err := c.post(token, fmt.Sprintf(`{"touser":%q,"msgtype":"text","agentid":1000002,"text":{"content":%q},"enable_duplicate_check":1}`, to, text))
	if err != nil {
		c.t.Fatal(err)
	}
	got := struct {
		Code int `json:"errcode"`
	}{-99}
	if err := json.Unmarshal([]byte(body), &got); err != nil {
		c.t.Fatal(err)
	}
	return got.Code
}

func wire(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile("../testdata/wire/" + name + ".json")
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(data))
}

// TestWire holds what the platform takes and answers to the written-down examples.
func TestWire(t *testing.T) {
	t.Parallel()
	c := start(t, "ZhangSan")
	for path, example := range map[string]string{
		"/cgi-bin/gettoken?corpid=ww0123456789abcdef&corpsecret=s3cret": "wecom-gettoken",
		"/cgi-bin/gettoken?corpid=ww1&corpsecret=s3cret":                "wecom-gettoken-corpid",
		"/cgi-bin/gettoken?corpid=ww0123456789abcdef&corpsecret=x":      "wecom-gettoken-secret",
	} {
		if got, want := c.get(path), wire(t, example+".response"); got != want {
			t.Errorf("%s: %s, want %s", example, got, want)
		}
	}
	got, err := c.post("accesstoken000001", wire(t, "wecom-message-send.request"))
	if want := wire(t, "wecom-message-send.response"); err != nil || got != want {
		t.Errorf("answered %s, %v; want %s", got, err, want)
	}
	got, err = c.post("accesstoken000001", strings.Replace(wire(t, "wecom-message-send.request"), "ZhangSan", "Nobody", 1))
	if want := wire(t, "wecom-message-send-invalid.response"); err != nil || got != want {
		t.Errorf("answered %s, %v; want %s", got, err, want)
	}
	if r := c.Received("ZhangSan"); len(r) != 1 || !strings.HasPrefix(r[0].Text, "月卡 199 元") {
		t.Errorf("received %+v", r)
	}
}

func TestTokensEnd(t *testing.T) {
	t.Parallel()
	c := start(t, "lin")
	first := c.token()
	if c.token() != first {
		t.Error("a token that is valid is replaced")
	}
	c.Clock().Advance(2 * time.Hour)
	if got := c.send(first, "lin", "a"); got != 42001 {
		t.Errorf("after two hours: %d", got)
	}
	second := c.token()
	if got := c.send(first, "lin", "a"); got != 40014 {
		t.Errorf("the one before: %d", got)
	}
	c.Revoke()
	if got := c.send(second, "lin", "a"); got != 40014 {
		t.Errorf("a revoked one: %d", got)
	}
	if got := c.send("", "lin", "a"); got != 41001 {
		t.Errorf("none: %d", got)
	}
}

func TestWhatIsTooMuchIsDroppedSilently(t *testing.T) {
	t.Parallel()
	c := start(t, "lin", "mei", "lan", "a", "b", "c")
	token := c.token()
	for i := range 35 {
		if got := c.send(token, "lin", fmt.Sprint(i)); got != 0 {
			t.Fatalf("%d: %d", i, got)
		}
	}
	if got := c.Record(); len(c.Received("lin")) != 30 || got.Dropped != 5 {
		t.Errorf("%d received, %+v", len(c.Received("lin")), got)
	}
	c.Clock().Advance(time.Minute)
	c.send(token, "lin", "a minute later")
	if len(c.Received("lin")) != 31 {
		t.Error("a minute later nothing arrives")
	}
}

func TestRepeatsAreHeldBackForHalfAnHour(t *testing.T) {
	t.Parallel()
	c := start(t, "lin")
	token := c.token()
	for range 3 {
		c.send(token, "lin", "hello")
	}
	c.Clock().Advance(29 * time.Minute)
	c.send(token, "lin", "hello")
	if got := c.Record(); len(c.Received("lin")) != 1 || got.Repeated != 3 {
		t.Errorf("%d received, %+v", len(c.Received("lin")), got)
	}
	c.Clock().Advance(2 * time.Minute)
	c.send(token, "lin", "hello")
	if len(c.Received("lin")) != 2 {
		t.Error("after half an hour it is held back still")
	}
}

func TestBlocksAndLimits(t *testing.T) {
	t.Parallel()
	c := start(t, "lin")
	token := c.token()
	c.Next(fakeplatform.Blocked)
	for i, want := range []int{45009, 45009} {
		if got := c.send(token, "lin", "x"); got != want {
			t.Errorf("%d: %d", i, got)
		}
	}
	c.Clock().Advance(time.Minute)
	if got := c.send(token, "lin", "x"); got != 0 || c.Record().WhileBlocked != 1 {
		t.Errorf("after the minute: %d, %+v", got, c.Record())
	}
	for i := range 199 { // with the one above as many as one seat has in a day
		c.Clock().Advance(10 * time.Second)
		if got := c.send(token, "lin", fmt.Sprint(i)); got != 0 {
			t.Fatalf("%d: %d", i, got)
		}
	}
	if got := c.send(token, "lin", "one more"); got != 45009 {
		t.Errorf("above the day's: %d", got)
	}
}

func TestTooManyAtOnce(t *testing.T) {
	t.Parallel()
	c := start(t, "lin")
	token := c.token()
	c.Next(fakeplatform.NeverAnswer, fakeplatform.NeverAnswer)
	var group sync.WaitGroup
	for i := range 2 {
		group.Go(func() { _, _ = c.post(token, wireTo("lin", fmt.Sprint(i))) })
	}
	for len(c.Received("lin")) < 2 {
		time.Sleep(time.Millisecond)
	}
	if got := c.send(token, "lin", "x"); got != 45033 {
		t.Errorf("the third at once: %d", got)
	}
	c.Close()
	group.Wait()
	if got := c.Record(); got.RefusedAtOnce != 1 || got.MostParallel != 3 {
		t.Errorf("%+v", got)
	}
}

func wireTo(to, text string) string {
	return fmt.Sprintf(`{"touser":%q,"msgtype":"text","agentid":1000002,"text":{"content":%q}}`, to, text)
}

func TestALostAnswer(t *testing.T) {
	t.Parallel()
	c := start(t, "lin")
	token := c.token()
	c.Next(fakeplatform.LoseAnswer)
	if answer, err := c.post(token, wireTo("lin", "x")); err == nil {
		t.Errorf("answered %s", answer)
	}
	if len(c.Received("lin")) != 1 {
		t.Error("it was not done")
	}
}

func TestPage(t *testing.T) {
	t.Parallel()
	c := start(t, "LinLan", "mei")
	if got := c.get("/"); !strings.Contains(got, "Nobody has received anything yet") {
		t.Errorf("empty: %s", got)
	}
	token := c.token()
	c.send(token, "linlan", "<b>月卡</b>\n199 元")
	c.send(token, "mei", strings.Repeat("长", 700))
	got := c.get("/")
	if strings.Count(got, `class="phone"`) != 2 || !strings.Contains(got, "&lt;b&gt;月卡&lt;/b&gt;\n199 元") || strings.Contains(got, "<b>月卡") {
		t.Errorf("page: %s", got)
	}
	if r := c.Received("mei"); len(r) != 1 || len(r[0].Text) > 2048 {
		t.Errorf("a long text is not cut: %d bytes", len(r[0].Text))
	}
}
