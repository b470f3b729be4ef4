package fakeplatform

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// OfficialAccount is an official account of WeChat on a platform.
type OfficialAccount struct {
	App, Secret string
	// Followers are the openids of those who follow it. Whoever follows has done nothing yet
	// that allows a message: see Platform.Act.
	Followers []string
}

// Act is what a follower does, which allows messages to her for a while.
type Act string

// Acts, by the vendor's page on customer-service messages.
const (
	Writes Act = "writes" // five messages in 48 hours
	Taps   Act = "taps"   // a menu, a scan, following: three in a minute
)

var allowances = map[Act]allowance{Writes: {5, 48 * time.Hour}, Taps: {3, time.Minute}}

type allowance struct {
	most int
	last time.Duration
}

// allowed is what an act of somebody has left.
type allowed struct {
	left  int
	until time.Time
}

// stable is the token of an account.
type stable struct {
	token   string
	expires time.Time
	tokens  int
}

type official struct {
	allowed map[string][]*allowed // by openid
}

func newOfficial() official { return official{allowed: map[string][]*allowed{}} }

// Act has a follower do something at the platform's time.
func (p *Platform) Act(person string, act Act) {
	p.mu.Lock()
	defer p.mu.Unlock()
	a := allowances[act]
	p.official.allowed[person] = append(p.official.allowed[person], &allowed{a.most, p.clock.Now().Add(a.last)})
}

func (p *Platform) stableToken(w http.ResponseWriter, r *http.Request) {
	var asked struct {
		GrantType string `json:"grant_type"`
		App       string `json:"appid"`
		Secret    string `json:"secret"`
	}
	if json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<16)).Decode(&asked) != nil {
		write(w, answer{Code: 47001, Message: "data format error"})
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.record.TokensAsked++
	wrong := func(code int, message string) {
		p.record.TokensWrong++
		write(w, answer{Code: code, Message: message})
	}
	secrets := map[string]string{p.opts.Mini.App: p.opts.Mini.Secret, p.opts.Official.App: p.opts.Official.Secret}
	switch secret, ok := secrets[asked.App]; {
	case asked.GrantType != "client_credential":
		wrong(40002, "invalid grant_type")
	case asked.App == "" || !ok:
		wrong(40013, "invalid appid")
	case asked.Secret != secret:
		wrong(40125, "invalid appsecret")
	default:
		now := p.clock.Now()
		if p.stable[asked.App] == nil {
			p.stable[asked.App] = new(stable)
		}
		o := p.stable[asked.App]
		if o.token == "" || !now.Before(o.expires) {
			o.tokens++
			o.token, o.expires = fmt.Sprintf("stabletoken%06d", o.tokens), now.Add(tokenLifetime)
		}
		w.Header().Set("Content-Type", "application/json; charset=UTF-8")
		// The vendor's answer has no errcode here.
		_ = json.NewEncoder(w).Encode(map[string]any{"access_token": o.token, "expires_in": int(o.expires.Sub(now).Round(time.Second) / time.Second)})
	}
}

type customMessage struct {
	ToUser  string `json:"touser"`
	MsgType string `json:"msgtype"`
	Text    struct {
		Content string `json:"content"`
	} `json:"text"`
}

func (p *Platform) customSend(w http.ResponseWriter, r *http.Request) {
	var m customMessage
	if json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<20)).Decode(&m) != nil {
		write(w, answer{Code: 47001, Message: "data format error"})
		return
	}
	a, fault := p.takeCustom(r.URL.Query().Get("access_token"), &m)
	if !p.misbehave(w, r, fault) {
		write(w, a)
	}
}

func (p *Platform) takeCustom(token string, m *customMessage) (a answer, fault Fault) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.record.OfficialCalls++
	a, fault, ok := p.admit(p.opts.Official.App, token)
	if !ok {
		return a, fault
	}
	return p.handCustom(p.clock.Now(), m), fault
}

// admit looks at a call's token, and lets it meet the next fault; ok is false where it goes no
// further. Its callers hold the lock.
func (p *Platform) admit(app, token string) (a answer, fault Fault, ok bool) {
	s := p.stable[app]
	switch {
	case token == "":
		return answer{Code: 41001, Message: "access_token missing"}, "", false
	case s == nil || token != s.token:
		return answer{Code: 40001, Message: "invalid credential, access_token is invalid or not latest"}, "", false
	case !p.clock.Now().Before(s.expires):
		return answer{Code: 42001, Message: "access_token expired"}, "", false
	}
	fault = p.fault()
	switch fault {
	case Busy:
		return answer{Code: -1, Message: "system error"}, fault, false
	case ServerError:
		return answer{}, fault, false
	case Blocked:
		return answer{Code: 45009, Message: "reach max api daily quota limit"}, fault, false
	case NoIP:
		return answer{Code: 40164, Message: "invalid ip, not in whitelist"}, fault, false
	default: // it is done, whatever becomes of the answer
	}
	return answer{}, fault, true
}

func (p *Platform) handCustom(now time.Time, m *customMessage) answer {
	switch {
	case m.MsgType != "text":
		return answer{Code: 40008, Message: "invalid message type"}
	case !strings.HasPrefix(m.ToUser, "o"):
		return answer{Code: 40003, Message: "invalid openid"}
	case !slices.Contains(p.opts.Official.Followers, m.ToUser):
		return answer{Code: 43004, Message: "require subscribe"}
	case m.Text.Content == "":
		return answer{Code: 44004, Message: "empty content"}
	case len(m.Text.Content) > maxTextBytes:
		return answer{Code: 45002, Message: "content size out of limit"}
	}
	open := slices.DeleteFunc(p.official.allowed[m.ToUser], func(a *allowed) bool { return !now.Before(a.until) })
	p.official.allowed[m.ToUser] = open
	if len(open) == 0 {
		p.record.OfficialLate++
		return answer{Code: 45015, Message: "response out of time limit or subscription is canceled"}
	}
	i := slices.IndexFunc(open, func(a *allowed) bool { return a.left > 0 })
	if i < 0 {
		p.record.OfficialOver++
		return answer{Code: 45047, Message: "out of response count limit"}
	}
	open[i].left--
	p.received = append(p.received, Received{Person: m.ToUser, By: p.opts.Official.App, Text: m.Text.Content, At: now})
	return answer{Message: "ok"}
}
