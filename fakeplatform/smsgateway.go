package fakeplatform

import (
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// gatewayTaken is a text that the gateway has taken under a key.
type gatewayTaken struct{ body, id string }

// gateway is what a company runs between Banyan and whoever sends its texts, as the page
// on SMS describes it.
func (p *Platform) gateway(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))
	if err != nil {
		http.Error(w, "too large", http.StatusRequestEntityTooLarge)
		return
	}
	signed := p.gatewaySigned(r.Header.Get("Banyan-Signature"), body)
	p.mu.Lock()
	p.record.SMSRequests++
	if !signed {
		p.record.SMSUnsigned++
	}
	p.mu.Unlock()
	var q struct {
		Check                  bool
		Key, Phone, Text, Sign string
	}
	switch {
	case !signed:
		http.Error(w, "bad signature", http.StatusUnauthorized)
		return
	case json.Unmarshal(body, &q) != nil:
		http.Error(w, "no JSON", http.StatusBadRequest)
		return
	case q.Check:
		_, _ = io.WriteString(w, "{}")
		return
	case q.Key == "" || q.Phone == "" || q.Text == "":
		http.Error(w, "something is missing", http.StatusBadRequest)
		return
	}
	p.mu.Lock()
	fault := p.fault()
	status, answer := 0, map[string]string{}
	switch {
	case fault == Throttled:
		status = http.StatusTooManyRequests
	case fault == Busy:
		status = http.StatusServiceUnavailable
	case strings.HasPrefix(string(fault), "sms "):
		status = http.StatusUnprocessableEntity
	case fault == ServerError:
	default:
		status, answer = p.takeText(q.Key, q.Phone, q.Sign, q.Text, string(body))
	}
	p.mu.Unlock()
	if p.misbehave(w, r, fault) {
		return
	}
	if status == http.StatusTooManyRequests {
		w.Header().Set("Retry-After", "7")
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(answer) // the caller has gone, if not
}

// takeText takes a text under its key, once; its callers hold the lock.
func (p *Platform) takeText(key, phone, sign, text, body string) (status int, answer map[string]string) {
	taken, again := p.texts.keys[key]
	switch {
	case again && taken.body != body:
		return http.StatusConflict, nil
	case again:
		p.record.SMSRepeated++
		return http.StatusOK, map[string]string{"id": taken.id}
	case p.texts.refused[phone]:
		return http.StatusUnprocessableEntity, map[string]string{"state": "opted_out"}
	case slices.Contains(p.opts.SMS.Dead, phone):
		return http.StatusUnprocessableEntity, map[string]string{"state": "unreachable"}
	}
	if sign != "" {
		text = "【" + sign + "】" + text
	}
	p.hand(phone, text, p.clock.Now())
	taken = gatewayTaken{body, fmt.Sprintf("sms%06d", p.texts.serial)}
	p.texts.keys[key] = taken
	return http.StatusOK, map[string]string{"id": taken.id}
}

// gatewaySigned verifies `t=UNIX,v1=HEX`: the HMAC-SHA256 of the time, a full stop and the
// body.
func (p *Platform) gatewaySigned(header string, body []byte) bool {
	var at string
	right := false
	for part := range strings.SplitSeq(header, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		switch name {
		case "t":
			at = value
		case "v1":
			want := hex.EncodeToString(hmacOf([]byte(p.opts.SMS.GatewaySecret), at+"."+string(body)))
			right = right || subtle.ConstantTimeCompare([]byte(want), []byte(value)) == 1
		}
	}
	seconds, err := strconv.ParseInt(at, 10, 64)
	return err == nil && right && p.opts.SMS.GatewaySecret != "" && p.clock.Now().Sub(time.Unix(seconds, 0)).Abs() <= signatureAge
}
