package campaign_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/banyanhq/banyan/campaign"
)

func everyField() *campaign.CallRequest {
	return &campaign.CallRequest{Currency: "CNY", Returns: []campaign.CallField{
		{Name: "level", Type: campaign.TypeString, OneOf: []string{"bronze", "gold"}, Optional: true},
		{Name: "note", Type: campaign.TypeString, Optional: true},
		{Name: "score", Type: campaign.TypeInt, Optional: true},
		{Name: "share", Type: campaign.TypeNumber, Optional: true},
		{Name: "vip", Type: campaign.TypeBool, Optional: true},
		{Name: "since", Type: campaign.TypeTime, Optional: true},
		{Name: "spent", Type: campaign.TypeMoney, Optional: true},
	}}
}

func TestReadAnswer(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{ // empty: it is refused
		`{}`:                                   `{}`,
		`{"level": "gold", "other": {"a": 1}}`: `{"level":"gold"}`,
		`{"level": null, "score": 3}`:          `{"score":3}`,
		`{"level": "silver"}`:                  ``,
		`{"level": 1}`:                         ``,
		`{"note": "小林"}`:                       `{"note":"小林"}`,
		`{"note": "a\u0000b"}`:                 ``,
		`{"note": "` + strings.Repeat("林", 1000) + `"}`:     `{"note":"` + strings.Repeat("林", 1000) + `"}`,
		`{"note": "` + strings.Repeat("林", 1001) + `"}`:     ``,
		`{"score": -9223372036854775808}`:                   `{"score":-9223372036854775808}`,
		`{"score": 9223372036854775808}`:                    ``,
		`{"score": 3.0}`:                                    ``,
		`{"score": "3"}`:                                    ``,
		`{"share": 0.25}`:                                   `{"share":0.25}`,
		`{"share": 3}`:                                      `{"share":3}`,
		`{"share": 1e999}`:                                  ``,
		`{"vip": true}`:                                     `{"vip":true}`,
		`{"vip": "true"}`:                                   ``,
		`{"since": "2026-12-01T20:00:00+08:00"}`:            `{"since":"2026-12-01T20:00:00+08:00"}`,
		`{"since": "2026-12-01"}`:                           ``,
		`{"since": 1796127303}`:                             ``,
		`{"spent": {"amount": "9.9", "currency": "CNY"}}`:   `{"spent":{"amount":"9.90","currency":"CNY"}}`,
		`{"spent": "9.9"}`:                                  `{"spent":{"amount":"9.90","currency":"CNY"}}`,
		`{"spent": 9.9}`:                                    ``,
		`{"spent": {}}`:                                     ``,
		`{"spent": {"amount": "9.999", "currency": "CNY"}}`: ``,
		``:                     ``,
		`null`:                 ``,
		`[]`:                   ``,
		`"gold"`:               ``,
		`{"level": "gold"`:     ``,
		`{"level": "gold"} {}`: ``,
		`{"level": "gold"}x`:   ``,
		`{"other": ` + strings.Repeat("[", 31) + strings.Repeat("]", 31) + `}`: `{}`,
		`{"other": ` + strings.Repeat("[", 32) + strings.Repeat("]", 32) + `}`: ``,
		`{"other": "` + strings.Repeat("x", campaign.MaxCallBody) + `"}`:       ``,
	} {
		got, err := everyField().ReadAnswer([]byte(body))
		if want == "" {
			if err == nil {
				t.Errorf("%.60s is taken as %v", body, got)
			}
			continue
		}
		data, _ := json.Marshal(got)
		if err != nil || string(data) != want {
			t.Errorf("%.60s is %.60s, %v", body, data, err)
		}
	}
}

// What is not optional has to be there, and without fields nothing is read.
func TestReadAnswerLacks(t *testing.T) {
	t.Parallel()
	r := &campaign.CallRequest{Returns: []campaign.CallField{{Name: "score", Type: campaign.TypeInt}}}
	for _, body := range []string{`{}`, `{"score": null}`} {
		if got, err := r.ReadAnswer([]byte(body)); err == nil {
			t.Errorf("%s is taken as %v", body, got)
		}
	}
	for _, body := range []string{``, `<html>`, `{`} {
		if got, err := new(campaign.CallRequest).ReadAnswer([]byte(body)); err != nil || got != nil {
			t.Errorf("%q without fields: %v, %v", body, got, err)
		}
	}
}

func FuzzReadAnswer(f *testing.F) {
	f.Add([]byte(`{"level":"gold","score":3,"share":0.5,"vip":true,"since":"2026-12-01T20:00:00+08:00","spent":"9.90"}`))
	f.Add([]byte(`{"a":[[[{}]]],"score":1e3}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		got, err := everyField().ReadAnswer(body)
		if err != nil {
			return
		}
		// What was taken is taken again as it was kept.
		data, err := json.Marshal(got)
		if err != nil {
			t.Fatal(err)
		}
		again, err := everyField().ReadAnswer(data)
		if err != nil {
			t.Fatalf("%s was taken as %s, which is not: %v", body, data, err)
		}
		if twice, _ := json.Marshal(again); string(twice) != string(data) {
			t.Fatalf("%s becomes %s", data, twice)
		}
	})
}

func TestCallNames(t *testing.T) {
	t.Parallel()
	for want, s := range map[string]*campaign.CallService{
		"crm":                  {URL: "https://crm.example.com/x", SaveAs: "crm"},
		"crm.example.com:8443": {URL: "https://crm.example.com:8443/x?y"},
		"":                     {URL: "https://%"},
	} {
		if got := s.Name(); got != want {
			t.Errorf("%s is called %q", s.URL, got)
		}
	}
	if key := campaign.CallEventID("a/b"); !campaign.OwnsEventID(key) {
		t.Errorf("%s could be told by a caller", key)
	}
}
