package callbacks_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/banyanhq/banyan/callbacks"
)

var update = flag.Bool("update", false, "write the goldens")

func kept(t testing.TB, file string) *callbacks.Callback {
	t.Helper()
	payload, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	channel, _, _ := strings.Cut(filepath.Base(file), "-")
	return &callbacks.Callback{
		Channel: callbacks.Channel(channel), Account: "account", Payload: payload, Received: time.Date(2026, 5, 1, 12, 0, 2, 0, time.UTC),
	}
}

// What each of the vendors' examples tells. What stands in the golden is what campaigns see, so
// a change here is a change of the language.
func TestMapping(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("testdata/payloads/*")
	if err != nil || len(files) < 15 {
		t.Fatal(len(files), err)
	}
	var out bytes.Buffer
	for _, file := range files {
		c := kept(t, file)
		told, err := callbacks.Map(c)
		if err != nil {
			t.Errorf("%s: %v", file, err)
		}
		out.WriteString("== " + filepath.Base(file) + "\n")
		for _, e := range told {
			w := e.Whom
			out.WriteString(e.Type + " " + e.Time.UTC().Format(time.RFC3339) + " " + string(e.Standing) + "\n  of " +
				strings.TrimSpace(strings.Join([]string{string(w.Kind), w.Thing, w.Account, w.Address}, " ")) + " " + idOf(w.EventKey) +
				"\n  " + string(e.Properties) + "\n  " + callbacks.EventID(e.Key) + "\n")
			for _, secret := range []string{"oia2T", "o7esq", "oUpF8", "woAJ2", "wmEJi", "0403", "CMC"} {
				if bytes.Contains(e.Properties, []byte(secret)) {
					t.Errorf("%s: the properties say who it is: %s", file, e.Properties)
				}
			}
		}
	}
	golden(t, "testdata/mapping.golden", out.String())
}

func idOf(key string) string {
	if key == "" {
		return ""
	}
	return "as of " + callbacks.EventID(key)
}

func golden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil { //nolint:gosec // a golden
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil || string(want) != got {
		t.Errorf("%s is not what it was (%v); with -update it becomes\n%s", file, err, got)
	}
}

// The page's table is the mapping itself.
func TestTableOfThePage(t *testing.T) {
	t.Parallel()
	const file, begin, end = "../docs/callbacks.md", "<!-- mapping -->\n", "<!-- end of mapping -->"
	page, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(page), begin)
	_, after, whole := strings.Cut(rest, end)
	if !ok || !whole {
		t.Fatal("the page has no place for the table")
	}
	golden(t, file, before+begin+"\n"+callbacks.Table()+"\n"+end+after)
}

// The same event by a second way, with a field more, has the same id where the platform gives
// it one of its own.
func TestSameEvent(t *testing.T) {
	t.Parallel()
	for _, file := range []string{"wechatpay-paid.json", "miniprogram-text.json"} {
		c := kept(t, "testdata/payloads/"+file)
		once, err := callbacks.Map(c)
		if err != nil {
			t.Fatal(err)
		}
		c.Payload = append([]byte(`{"new":"field",`), bytes.TrimPrefix(c.Payload, []byte("{"))...)
		again, err := callbacks.Map(c)
		if err != nil || len(again) != len(once) || again[0].Key != once[0].Key || !strings.Contains(string(again[0].Properties), `"other":{"new":"field"`) && !strings.Contains(string(again[0].Properties), `"new":"field"`) {
			t.Errorf("%s: %+v, %v", file, again, err)
		}
	}
}

func TestMappingRefuses(t *testing.T) {
	t.Parallel()
	deep := strings.Repeat(`{"a":`, 20) + "1" + strings.Repeat("}", 20)
	wide := "<xml>" + strings.Repeat("<a>1</a>", 5000) + "</xml>"
	for _, c := range []struct {
		channel callbacks.Channel
		payload string
	}{
		{callbacks.Wecom, ""},
		{callbacks.Wecom, "hello"},
		{callbacks.Wecom, "<xml>"},
		{callbacks.Wecom, deep},
		{callbacks.Wecom, wide},
		{callbacks.Wecom, `{} {}`},
		{callbacks.Wecom, `[]`},
		{callbacks.Wecom, `{"MsgType":"event","Event":"change_external_contact","ChangeType":"add_external_contact"}`},
		{callbacks.Wecom, `{"MsgType":"event","Event":"kf_msg_or_event","OpenKfId":"a b"}`},
		{callbacks.MiniProgram, `{"MsgType":"text","FromUserName":{"a":"b"}}`},
		{callbacks.MiniProgram, `{"MsgType":"event","Event":"subscribe_msg_popup_event","FromUserName":"o1","List":["x"]}`},
		{callbacks.Pay, `{"mchid":"1"}`},
		{callbacks.Pay, `{"transaction_id":"1","trade_state":"SUCCESS","appid":"wx1"}`},
		{callbacks.Pay, `{"transaction_id":"1","trade_state":"SUCCESS","appid":"wx1","payer":{"openid":"o1"},"amount":{"total":19.9}}`},
		{callbacks.Pay, `{"transaction_id":"1","trade_state":"SUCCESS","appid":"wx1","payer":{"openid":"o1"},"amount":{"total":-1}}`},
		{callbacks.Pay, `{"transaction_id":"1","trade_state":"SUCCESS","appid":"wx1","payer":{"openid":"o1"}}`},
		{callbacks.Pay, `{"transaction_id":"1","refund_status":"SUCCESS","amount":{"total":1,"refund":1}}`},
	} {
		if got, err := callbacks.Map(&callbacks.Callback{Channel: c.channel, Account: "a", Payload: []byte(c.payload), Received: time.Now()}); err == nil {
			t.Errorf("%s %.60s: %+v", c.channel, c.payload, got)
		}
	}
}

// Whatever opens is read or refused, and what is told can be kept.
func FuzzMap(f *testing.F) {
	files, err := filepath.Glob("testdata/payloads/*")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		c := kept(f, file)
		f.Add(string(c.Channel), c.Payload)
	}
	f.Fuzz(func(t *testing.T, channel string, payload []byte) {
		told, err := callbacks.Map(&callbacks.Callback{Channel: callbacks.Channel(channel), Account: "a", Payload: payload, Received: time.Unix(1e9, 0)})
		if err != nil {
			return
		}
		for _, e := range told {
			if !json.Valid(e.Properties) || bytes.Contains(e.Properties, []byte(`\u0000`)) || e.Type == "" || e.Key == "" || e.Time.IsZero() || e.Whom == (callbacks.Whom{}) {
				t.Errorf("%+v", e)
			}
		}
	})
}
